//! Index images, looked at: files go in; what they are and what is wrong with them comes out.
//!
//! Always: of a sound store's images nothing is told, however old they are: what an image says of uses that are over is not
//! looked at but for its checksums.

mod agreement;

use std::path::PathBuf;

use lowtide_checkpoint::Vbid;

use crate::contract::EngineError;
use crate::disk::DiskErrorKind;
use crate::logstor::image::{Covered, Image, Section};

use self::agreement::Agreement;
use super::finding::{LogFinding, LogFindingKind, LogObserver};
use super::layout::ImageLayout;
use super::source::Source;
use super::survey::Survey;

/// A file with an image's name.
#[derive(Debug)]
pub(super) struct ImageFile {
    path: PathBuf,
    bytes: u64,
    /// `None` if opening the store would not use it.
    image: Option<Image>,
}

/// Those there are, newest first.
///
/// # Errors
/// [`EngineError::Disk`].
pub(super) fn open(
    source: &Source,
    observer: &mut dyn LogObserver,
) -> Result<Vec<ImageFile>, EngineError> {
    let mut files = Vec::new();
    for (number, path) in &source.images {
        let opened = Image::open(
            &**source.disk(),
            path.clone(),
            source.sketch.hash_key,
            *number,
        );
        let image = match opened {
            // A newer one has taken its place: the names tell.
            Err(EngineError::Disk(error)) if error.kind == DiskErrorKind::NotFound => continue,
            opened => opened?,
        };
        let bytes = match &image {
            Ok(image) => image.bytes,
            Err(what) => {
                observer.found(LogFinding::of_file(LogFindingKind::Image, path, 0, *what));
                source
                    .disk()
                    .open(path, crate::disk::Access::ReadOnly)?
                    .len()?
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

/// Whether the use of a segment goes on.
fn is_current(survey: &Survey, covered: &Covered) -> bool {
    let found = survey.segments.get(&covered.segment);
    found.is_some_and(|found| !found.is_free && found.segment.generation == covered.generation)
}

impl ImageFile {
    pub(super) fn layout(&self, survey: &Survey) -> ImageLayout {
        let directory = self.image.as_ref().map(|image| &image.directory);
        let segments = || {
            directory
                .into_iter()
                .flat_map(|directory| &directory.segments)
        };
        let sections = directory
            .into_iter()
            .flat_map(|directory| &directory.sections);
        ImageLayout {
            path: self.path.clone(),
            bytes: self.bytes,
            last_append: directory.map(|directory| directory.number),
            keys: sections.map(|section| section.rows).sum(),
            segments: segments().count() as u64,
            segments_current: segments()
                .filter(|covered| is_current(survey, covered))
                .count() as u64,
        }
    }

    /// Tells whether every row is as it was written; and, given what was found, whether it is so.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn check(
        &self,
        source: &Source,
        survey: Option<&Survey>,
        observer: &mut dyn LogObserver,
    ) -> Result<(), EngineError> {
        let Some(image) = &self.image else {
            return Ok(());
        };
        let mut agreement = survey.map(|survey| Agreement::new(source, survey, image));
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

/// A section's rows; or where and why they can't be read.
type Rows = Result<Vec<crate::logstor::image::Row>, (u64, String)>;

fn rows(image: &Image, section: &Section) -> Result<Rows, EngineError> {
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
    let are_all = ascend && rows.len() as u64 == section.rows;
    Ok(if are_all {
        Ok(rows)
    } else {
        Err((
            0,
            "the rows of a vBucket are not in order, or not all".to_owned(),
        ))
    })
}
