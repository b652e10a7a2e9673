//! `dcp-sim compact --in-place` of a log store: each vBucket's garbage, one after the other.
//!
//! Always: the store is taken for as long as it lasts. Its files keep their lengths: what becomes free is for later commits.

use std::path::Path;
use std::sync::Arc;

use persistence::disk::OsDisk;
use persistence::logstor::{Logstor, LogstorConfig};
use persistence::{Engine, EngineError};

use super::super::check::progress_bar;
use super::super::store::Target;
use super::super::{Failure, log_store};
use super::in_place::{in_use, one, tell};
use super::{CompactArguments, Compacted};

pub(super) fn compact(arguments: &CompactArguments) -> Result<Vec<Compacted>, Failure> {
    let (path, purge) = (&arguments.path, &arguments.purge);
    let given_up = "tombstones of a log store are purged up to a seqno: --purge-upto";
    log_store::refuse(purge.purge_before.is_some(), "--purge-before", given_up)?;
    let to_file = "--in-place rewrites the store where it is";
    log_store::refuse(arguments.destination.output.is_some(), "--output", to_file)?;
    let (store, recovered) =
        Logstor::open(Arc::new(OsDisk::new()), path, LogstorConfig::DEFAULT).map_err(in_use)?;
    for (file, what) in &recovered.repairs {
        eprintln!("note: {}: {what}", file.display());
    }
    let bar = progress_bar();
    let mut files = Vec::new();
    for vb in store.vbuckets() {
        let target = Target { path: path.display().to_string(), vb: Some(vb.0), revision: None };
        let result = one(&store, vb, purge.request(), &bar);
        let is_over = matches!(result, Err(EngineError::Poisoned { .. }));
        files.push(told(&target, path, result));
        if is_over {
            // Every other vBucket would say the same.
            break;
        }
    }
    bar.finish_and_clear();
    store.close()?;
    Ok(files)
}

fn told(
    target: &Target,
    path: &Path,
    result: Result<persistence::CompactionReport, EngineError>,
) -> Compacted {
    match result {
        Ok(report) => Compacted::done(target, path, &report),
        Err(error) => tell(target, error),
    }
}
