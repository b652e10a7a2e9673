//! Opening: the directory goes in; the store as it was acknowledged, and a report of what was found beside that, come out.
//!
//! What always holds:
//!
//! - Everything acknowledged comes back (L18): a frame that is bad, below the number up to which nothing was in doubt, or
//!   before another one of its segment's use, is damage, and told: by the vBuckets it harms, or, where nobody knows which
//!   these are, by the opening.
//! - What is in doubt, the newest appends, is there as a whole or not at all: an append with all its frames is written
//!   again and synced, since nobody knows whether it was; of any other every frame is cut off by the manifest. Both are
//!   durable before the store serves (L19).
//! - What wins is decided by epochs, caps and seqnos alone, not by where records lie or in which order they are read.

mod files;
mod look;
mod rebuild;
mod survey;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::contract::{EngineError, Executor, RecoveryReport};
use crate::disk::{Disk, DiskLock};
use crate::sync::{Mutex, RwLock};

use super::config::{Geometry, LogstorConfig};
use super::image::{self, Image};
use super::log::Log;
use super::manifest::{self, Edit, Manifest, Sketch};
use super::registry::Registry;
use super::segments::Segments;
use super::shared::Shared;
use super::store::Store;
use super::writer::Writer;

use self::look::Place;
use self::rebuild::Branches;
use self::survey::Survey;

/// A store that was opened, and what its upkeep begins with.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) store: Store,
    pub(super) newest_image: Option<Arc<Image>>,
    /// Bytes that were appended and that the image does not cover.
    pub(super) carried_bytes: u64,
    pub(super) report: RecoveryReport,
}

/// Opens a store whose directory is there and locked.
pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    config: LogstorConfig,
    lock: Box<dyn DiskLock>,
    executor: &dyn Executor,
) -> Result<Recovered, EngineError> {
    let mut report = RecoveryReport::default();
    let found = manifest::read(&*disk, dir)?;
    let (is_new, place) = (
        found.is_none(),
        found.as_ref().and_then(|found| found.place),
    );
    let mut sketch = match found {
        None => Sketch::new(Geometry::new(&config), config.hash_key),
        Some(found) => {
            if found.torn_bytes > 0 {
                report.repairs.push((
                    found.path,
                    format!("cut off {} bytes of a torn edit", found.torn_bytes),
                ));
            }
            found.sketch
        }
    };
    let shared = Arc::new(Shared::new(disk, dir, config, sketch.hash_key));
    let (files, total) = files::open(&shared, sketch.geometry, is_new, &mut report)?;
    let looked_at = Place {
        shared: &shared,
        geometry: sketch.geometry,
        files: &files,
        sketch: &sketch,
        image: None,
    };
    let (survey, image) = survey(looked_at, total, executor, &mut report)?;
    let used_up = |what| EngineError::NumbersUsedUp {
        path: shared.dir.clone(),
        what,
    };
    let next_generation = survey
        .next_generation()
        .ok_or_else(|| used_up("generations of segments"))?;
    let next_number = survey
        .next_number()
        .ok_or_else(|| used_up("numbers of appends"))?;
    image::remove_others(&shared, image.as_deref())?;
    survey.confirm(&shared)?;
    sketch.keep_retired(|segment, generation| survey.generation_of(segment) == Some(generation));
    let torn = survey.torn();
    for retired in &torn {
        let path = shared.dir.join(Segments::file_name(
            sketch.geometry.place(retired.segment).0,
        ));
        let what = format!(
            "segment {}: what follows {} bytes was never acknowledged and is cut off",
            retired.segment, retired.bytes
        );
        report.repairs.push((path, what));
    }
    // An edit of segments can't be refused.
    let _ = sketch.apply(&Edit::Retire(torn));
    let manifest = Manifest::create(&shared, place, sketch.clone())?;
    let segments = Segments::new(
        Arc::clone(&shared),
        sketch.geometry,
        files,
        total,
        next_generation,
    );
    let log = Arc::new(Log::new(
        Arc::clone(&shared),
        segments,
        manifest,
        next_number,
    ));
    let carried_bytes = survey.found_bytes;
    let Branches { branches, aside } = rebuild::branches(&log, &sketch, survey, image.as_ref())?;
    report.vbuckets = branches.len();
    let damages = branches
        .iter()
        .filter_map(|(vb, branch)| Some((*vb, branch.damage()?.error().to_string())));
    report.unreadable = damages.collect();
    let store = Store {
        shared,
        registry: Arc::new(Registry::new(Arc::clone(&log), branches)),
        log,
        writer: Writer::default(),
        aside: Mutex::default(),
        is_whole: AtomicBool::new(false),
        observer: RwLock::new(None),
        lock: Mutex::new(Some(lock)),
    };
    aside
        .into_iter()
        .for_each(|(vb, segments)| store.set_aside(vb, segments));
    Ok(Recovered {
        store,
        newest_image: image,
        carried_bytes,
        report,
    })
}

/// What the log holds beside what an image knows, and that image, if there is one to go by.
fn survey(
    place: Place<'_>,
    total: u32,
    executor: &dyn Executor,
    report: &mut RecoveryReport,
) -> Result<(Survey, Option<Arc<Image>>), EngineError> {
    let why = match image::newest(place.shared)? {
        Err(why) => why,
        Ok(image) => {
            let place = Place {
                image: Some(&image.directory),
                ..place
            };
            let survey = Survey::of(
                look::at_all(place, total, executor)?,
                Some(&image.directory),
            )?;
            if survey.bears_out(&image.directory, place.sketch) {
                report
                    .notes
                    .push(format!("{}, {}", survey.summary(), image.summary()));
                return Ok((survey, Some(Arc::new(image))));
            }
            format!("{}: a state it names is gone", image.path.display())
        }
    };
    let survey = Survey::of(look::at_all(place, total, executor)?, None)?;
    report.notes.push(format!(
        "{}, without an index image: {why}",
        survey.summary()
    ));
    Ok((survey, None))
}
