//! `dcp-sim compact --in-place` of a log store: each vBucket's garbage, one after the other.
//!
//! Always: the store is taken for as long as it lasts. Its files keep their lengths: what becomes free is for later commits.

use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Engine, EngineError};

use crate::cli::failure::Failure;
use crate::cli::output::tell;
use crate::cli::tools::compact::arguments::Purge;
use crate::cli::tools::compact::compacted::Compacted;
use crate::cli::tools::compact::in_place::{in_use, one, tell};
use crate::cli::tools::progress::progress_bar;
use crate::cli::tools::store::Target;

pub(in crate::cli) fn compact(path: &Path, purge: &Purge) -> Result<Vec<Compacted>, Failure> {
    let (store, recovered) =
        Logstor::open(Arc::new(OsDisk::new()), path, LogstorConfig::DEFAULT).map_err(in_use)?;
    for (file, what) in &recovered.repairs {
        tell!("note: {}: {what}", file.display());
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
    result: Result<lowtide_persistence::CompactionReport, EngineError>,
) -> Compacted {
    match result {
        Ok(report) => Compacted::done(target, path, &report),
        Err(error) => tell(target, error),
    }
}
