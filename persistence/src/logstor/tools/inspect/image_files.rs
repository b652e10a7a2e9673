//! The index images of a store: they are opened and verified.
//!
//! # Invariants
//!
//! A sound store's images give no finding, however old they are. Of uses that are over only the
//! checksums are compared.

use std::path::PathBuf;

use lowtide_checkpoint::Vbid;

use super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::image_agreement::ImageAgreement;
use super::source::StoreSource;
use super::survey::SegmentSurvey;
use crate::contract::EngineError;
use crate::disk::{Access, DiskErrorKind};
use crate::logstor::format::to_u64;
use crate::logstor::index_image::{Image, ImageRow, ImageSection};

/// A file with an image's name.
#[derive(Debug)]
pub(super) struct ImageFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// `None` if opening the store would not use it.
    pub(super) image: Option<Image>,
}

/// Opens all image files, newest first.
///
/// # Errors
/// [`EngineError::Disk`].
pub(super) fn open_images(
    source: &StoreSource,
    observer: &mut dyn LogObserver,
) -> Result<Vec<ImageFile>, EngineError> {
    let mut files = Vec::new();
    for (number, path) in &source.images {
        let opened = Image::open(
            &**source.disk(),
            path.clone(),
            source.catalog.hash_key,
            *number,
        );
        let image = match opened {
            // A newer one has replaced it. The changed names are noticed later.
            Err(EngineError::Disk(error)) if error.kind == DiskErrorKind::NotFound => continue,
            opened => opened?,
        };
        let bytes = match &image {
            Ok(image) => image.bytes,
            Err(what) => {
                observer.found(LogFinding::of_file(LogFindingKind::Image, path, 0, *what));
                source.disk().open(path, Access::ReadOnly)?.len()?
            }
        };
        files.push(ImageFile {
            path: path.clone(),
            bytes,
            image: image.ok(),
        });
    }
    Ok(files)
}

impl ImageFile {
    /// Verifies every row. If there is a survey, also compares the image with it.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn check(
        &self,
        source: &StoreSource,
        survey: Option<&SegmentSurvey>,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let Some(image) = &self.image else {
            return Ok(());
        };
        let mut agreement = survey.map(|survey| ImageAgreement::new(source, survey, image));
        let mut wrong: Vec<(u64, Option<Vbid>, String)> = Vec::new();
        if let Some(agreement) = &agreement {
            wrong.extend(agreement.segments().into_iter().map(|what| (0, None, what)));
        }
        for section in &image.directory.sections {
            let vb = Some(Vbid(section.vb));
            match rows(image, section)? {
                Err((offset, what)) => wrong.push((offset, vb, what)),
                Ok(rows) => {
                    let what = agreement
                        .as_mut()
                        .and_then(|agreement| agreement.section(section, &rows));
                    wrong.extend(what.map(|what| (0, vb, what)));
                }
            }
        }
        for (offset, vb, what) in wrong {
            let finding = LogFinding::of_file(LogFindingKind::Image, &self.path, offset, what);
            observer.found(LogFinding { vb, ..finding });
        }
        Ok(())
    }
}

/// A section's rows, or the offset and description of the damage.
type Rows = Result<Vec<ImageRow>, (u64, String)>;

fn rows(image: &Image, section: &ImageSection) -> Result<Rows, EngineError> {
    let mut rows = Vec::new();
    for block in &section.blocks {
        match image.rows(block) {
            Ok(mut block) => rows.append(&mut block),
            Err(EngineError::Corrupt { offset, what, .. }) => return Ok(Err((offset, what))),
            Err(error) => return Err(error),
        }
    }
    let ascend = rows
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.fingerprint < b.fingerprint));
    let are_all = ascend && to_u64(rows.len()) == section.rows;
    Ok(if are_all {
        Ok(rows)
    } else {
        Err((
            0,
            "the rows of a vBucket are not in order, or not all".to_owned(),
        ))
    })
}
