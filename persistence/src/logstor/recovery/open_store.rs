//! The steps of opening, from the manifest to the store.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::internal::Invariant;

use super::log_files::open_log_files;
use super::log_survey::LogSurvey;
use super::rebuild::{RebuiltVBuckets, rebuild_vbuckets};
use super::segment_probe::{ProbeContext, probe_all};
use crate::contract::{EngineError, Executor, RecoveryReport};
use crate::disk::{Disk, DiskLock};
use crate::logstor::config::{Geometry, LogstorConfig};
use crate::logstor::index_image::{Image, newest_image, remove_other_images};
use crate::logstor::log::{
    Catalog, Log, Manifest, ManifestEdit, SegmentTable, StoreContext, read_manifest,
};
use crate::logstor::store::Store;

/// A store that was opened, and what its upkeep begins with.
#[derive(Debug)]
pub(in crate::logstor) struct RecoveredStore {
    pub(in crate::logstor) store: Store,
    pub(in crate::logstor) newest_image: Option<Arc<Image>>,
    /// Bytes that were appended and that the image does not cover.
    pub(in crate::logstor) carried_bytes: u64,
    pub(in crate::logstor) report: RecoveryReport,
}

/// Opens a store whose directory exists and is locked.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`]; [`EngineError::NumbersUsedUp`] if no generation
/// or number of an append is left; [`EngineError::InvalidArgument`] if the executor left out the
/// tasks.
pub(in crate::logstor) fn open_store(
    disk: Arc<dyn Disk>,
    dir: &Path,
    config: LogstorConfig,
    directory_lock: Box<dyn DiskLock>,
    executor: &dyn Executor,
) -> Result<RecoveredStore, EngineError> {
    let mut report = RecoveryReport::default();
    let found = read_manifest(&*disk, dir)?;
    let is_new = found.is_none();
    let place = found.as_ref().and_then(|found| found.place);
    let mut catalog = match found {
        None => Catalog::new(Geometry::new(&config), config.hash_key),
        Some(found) => {
            if found.torn_bytes > 0 {
                let what = format!("cut off {} bytes of a torn edit", found.torn_bytes);
                report.repairs.push((found.path, what));
            }
            found.catalog
        }
    };
    let context = Arc::new(StoreContext::new(disk, dir, config, catalog.hash_key));
    let (files, total) = open_log_files(&context, catalog.geometry, is_new, &mut report)?;
    let probe = ProbeContext {
        context: &context,
        geometry: catalog.geometry,
        files: &files,
        catalog: &catalog,
        image: None,
    };
    let (survey, image) = survey(probe, total, executor, &mut report)?;
    let used_up = |what| EngineError::NumbersUsedUp {
        path: context.dir.clone(),
        what,
    };
    let next_generation = survey
        .next_generation()
        .ok_or_else(|| used_up("generations of segments"))?;
    let next_append = survey
        .next_append_seqno()
        .ok_or_else(|| used_up("numbers of appends"))?;
    remove_other_images(&context, image.as_deref())?;
    survey.confirm(&context)?;
    catalog.keep_retired(|segment, generation| survey.generation_of(segment) == Some(generation));
    cut_off_torn(&context, &mut catalog, &survey, &mut report)?;
    let manifest = Manifest::create(&context, place, catalog.clone())?;
    let segments = SegmentTable::new(
        Arc::clone(&context),
        catalog.geometry,
        files,
        total,
        next_generation,
    );
    let log = Arc::new(Log::new(context, segments, manifest, next_append));
    let carried_bytes = survey.scanned_bytes;
    let RebuiltVBuckets {
        vbuckets,
        quarantined,
    } = rebuild_vbuckets(&log, &catalog, survey, image.as_ref())?;
    report.vbuckets = vbuckets.len();
    let damages = vbuckets
        .iter()
        .filter_map(|(vb, vbucket)| Some((*vb, vbucket.damage()?.error().to_string())));
    report.unreadable = damages.collect();
    let store = Store::new(log, vbuckets, directory_lock);
    for (vb, segments) in quarantined {
        store.registry.quarantine(vb, segments);
    }
    Ok(RecoveredStore {
        store,
        newest_image: image,
        carried_bytes,
        report,
    })
}

/// Cuts off frames of appends that were never acknowledged.
fn cut_off_torn(
    context: &StoreContext,
    catalog: &mut Catalog,
    survey: &LogSurvey,
    report: &mut RecoveryReport,
) -> Result<(), EngineError> {
    let torn = survey.torn();
    for tail in &torn {
        let (file, _) = catalog.geometry.place(tail.segment);
        let path = context.dir.join(SegmentTable::file_name(file));
        let what = format!(
            "segment {}: what follows {} bytes was never acknowledged and is cut off",
            tail.segment, tail.bytes
        );
        report.repairs.push((path, what));
    }
    // A tail that is not cut off could come back.
    catalog
        .apply(&ManifestEdit::Retire(torn))
        .ok()
        .invariant("L19", "an edit of tails is not refused")
        .map_err(|violation| context.internal(violation))
}

/// Surveys the log: with the newest image if it is consistent with the log, or without one.
fn survey(
    probe: ProbeContext<'_>,
    total: u32,
    executor: &dyn Executor,
    report: &mut RecoveryReport,
) -> Result<(LogSurvey, Option<Arc<Image>>), EngineError> {
    let why = match newest_image(probe.context)? {
        Err(why) => why,
        Ok(image) => {
            let directory = Some(&image.directory);
            let probe = ProbeContext {
                image: directory,
                ..probe
            };
            let survey = LogSurvey::of(probe_all(probe, total, executor)?, directory)?;
            if survey.is_consistent_with(&image.directory, probe.catalog) {
                let note = format!("{}, {}", survey.summary(), image.summary());
                report.notes.push(note);
                return Ok((survey, Some(Arc::new(image))));
            }
            format!("{}: a state it names is gone", image.path.display())
        }
    };
    let survey = LogSurvey::of(probe_all(probe, total, executor)?, None)?;
    report.notes.push(format!(
        "{}, without an index image: {why}",
        survey.summary()
    ));
    Ok((survey, None))
}
