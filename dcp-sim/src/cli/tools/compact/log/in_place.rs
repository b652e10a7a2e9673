//! `dcp-sim compact --in-place` of a log store: it collects the garbage of each vBucket in turn.
//!
//! # Invariants
//!
//! - The store is locked meanwhile. Its files keep their lengths: freed space is for later commits.

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{CompactionReport, Engine, EngineError};

use crate::cli::failure::Failure;
use crate::cli::output::message;
use crate::cli::tools::compact::arguments::Purge;
use crate::cli::tools::compact::compacted::Compacted;
use crate::cli::tools::compact::in_place::{in_use, one, report_failure};
use crate::cli::tools::log_store;
use crate::cli::tools::progress::progress_bar;
use crate::cli::tools::store::Target;
use crate::published_key::PUBLISHED_HASH_KEY;

pub(in crate::cli) fn compact(path: &Path, purge: &Purge) -> Result<Vec<Compacted>, Failure> {
    // The store keeps its own key.
    let config = LogstorConfig::new(PUBLISHED_HASH_KEY);
    let opened = Logstor::open(Arc::new(OsDisk::new()), path, config);
    let (store, recovered) = opened.map_err(|error| match error {
        damaged @ EngineError::Corrupt { .. } => log_store::failure(damaged),
        other => in_use(other),
    })?;
    for (file, what) in &recovered.repairs {
        message!("note: {}: {what}", file.display());
    }
    let bar = progress_bar();
    let mut files = Vec::new();
    for vb in store.vbuckets() {
        let target = Target {
            path: path.display().to_string(),
            vb: Some(vb.0),
            revision: None,
        };
        let result = one(&store, vb, purge.request(), &bar);
        let is_over = matches!(result, Err(EngineError::Poisoned { .. }));
        files.push(compacted(&target, path, result));
        if is_over {
            // All further vBuckets would fail, too.
            break;
        }
    }
    bar.finish_and_clear();
    store.close()?;
    Ok(files)
}

fn compacted(
    target: &Target,
    path: &Path,
    result: Result<CompactionReport, EngineError>,
) -> Compacted {
    match result {
        Ok(report) => Compacted::done(target, path, &report),
        Err(error) => report_failure(target, log_store::failure(error)),
    }
}
