//! `dcp-sim compact` of a log store: in place, or into a new one.

mod in_place;
mod output;

use super::arguments::CompactArguments;
use super::compacted::Compacted;
use crate::cli::failure::Failure;
use crate::cli::tools::log_store;

pub(in crate::cli) fn compact(arguments: &CompactArguments) -> Result<Vec<Compacted>, Failure> {
    let path = &arguments.path;
    let purge = &arguments.purge;
    let hint = "tombstones of a log store are purged up to a seqno: --purge-upto";
    log_store::refuse(purge.purge_before.is_some(), "--purge-before", hint)?;
    match &arguments.destination.output {
        Some(output) => output::compact(path, output, purge).map(|compacted| vec![compacted]),
        None => in_place::compact(path, purge),
    }
}
