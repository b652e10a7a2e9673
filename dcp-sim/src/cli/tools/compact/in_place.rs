//! Compaction of a store in place: each vBucket's newest file is replaced by a smaller one.
//!
//! # Invariants
//!
//! - The store is locked meanwhile, so no other process of ours has it open.
//! - A vBucket that cannot be compacted keeps its file, and the others are compacted anyway.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;
use lowtide_checkpoint::Vbid;
use lowtide_persistence::couchstore::{
    CommitMode, Couchstore, CouchstoreConfig, FormatVersion, list_store,
};
use lowtide_persistence::disk::{DiskErrorKind, OsDisk};
use lowtide_persistence::{
    Budget, CompactionReport, CompactionRequest, Engine, EngineError, JobProgress,
};

use super::arguments::Purge;
use super::compacted::Compacted;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::message;
use crate::cli::tools::progress::progress_bar;
use crate::cli::tools::store::{Target, Targets};

/// Budget between two updates of the progress.
const STEP: Budget = Budget::new(4_096, u64::MAX);

/// Files keep their version, so all previous readers can still read them.
const CONFIG: CouchstoreConfig = CouchstoreConfig::DEFAULT
    // Nothing is read twice.
    .with_cache_bytes(0)
    .with_commit(CommitMode::TwoPhase)
    .with_version(FormatVersion::V12);

pub(in crate::cli) fn compact(path: &Path, purge: &Purge) -> Result<Vec<Compacted>, Failure> {
    let metadata = fs::metadata(path)
        .map_err(|error| Failure::new(Exit::Io, &format!("{}: {error}", path.display())))?;
    if !metadata.is_dir() {
        let error = format!("{} is not a directory", path.display());
        return Err(Failure::new(Exit::Usage, &error).with_hint(
            "--in-place takes a store's directory; for one file use --output".to_owned(),
        ));
    }
    // Opening would turn a directory without a store into one.
    let targets = Targets::find(path, None)?;
    let (store, recovered) =
        Couchstore::open(Arc::new(OsDisk::new()), path, CONFIG).map_err(in_use)?;
    for (file, what) in &recovered.repairs {
        message!("note: {}: {what}", file.display());
    }
    let bar = progress_bar();
    let mut results = Vec::new();
    for target in targets.files {
        let Some(vb) = target.vb.map(Vbid) else {
            message!(
                "note: {} is left out: it is not a vBucket's file",
                target.path
            );
            continue;
        };
        let result = one(&store, vb, purge.request(), &bar);
        let is_over = matches!(result, Err(EngineError::Poisoned { .. }));
        results.push((target, vb, result));
        if is_over {
            // All further vBuckets would fail, too.
            break;
        }
    }
    bar.finish_and_clear();
    let closed = store.close();
    let now = newest(path)?;
    let files = results
        .into_iter()
        .map(|(target, vb, result)| compacted(&target, now.get(&vb), result))
        .collect();
    closed?;
    Ok(files)
}

pub(super) fn one(
    store: &dyn Engine,
    vb: Vbid,
    request: CompactionRequest,
    bar: &ProgressBar,
) -> Result<CompactionReport, EngineError> {
    let mut job = store.compact(vb, request)?;
    loop {
        match job.step(STEP)? {
            JobProgress::Working { done, of, .. } => {
                bar.set_length(of);
                bar.set_position(done);
            }
            JobProgress::Done(report) => return Ok(report),
            _ => {}
        }
    }
}

fn compacted(
    target: &Target,
    now: Option<&PathBuf>,
    result: Result<CompactionReport, EngineError>,
) -> Compacted {
    match result {
        Ok(report) => Compacted::done(target, now.map_or(target.path(), PathBuf::as_path), &report),
        Err(error) => report_failure(target, error.into()),
    }
}

/// Reports the failure of a vBucket.
pub(super) fn report_failure(target: &Target, failure: Failure) -> Compacted {
    failure.report();
    Compacted::failed(target, failure)
}

fn newest(dir: &Path) -> Result<BTreeMap<Vbid, PathBuf>, Failure> {
    let listing = list_store(&OsDisk::new(), dir)?;
    Ok(listing
        .files
        .into_iter()
        .map(|file| (file.vb, file.path))
        .collect())
}

pub(super) fn in_use(error: EngineError) -> Failure {
    let is_locked = matches!(&error, EngineError::Disk(disk) if disk.kind == DiskErrorKind::Locked);
    let failure = Failure::from(error);
    if is_locked {
        failure.with_hint("the store is open elsewhere: close it first".to_owned())
    } else {
        failure
    }
}
