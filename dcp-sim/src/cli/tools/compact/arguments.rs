//! Arguments of `dcp-sim compact`.

use std::path::PathBuf;

use clap::Args;
use lowtide_checkpoint::Seqno;
use lowtide_persistence::CompactionRequest;

use crate::cli::quantity;

const EXAMPLES: &str = "\
Examples:
  dcp-sim compact 7.couch.1 --output small/7.couch.2
  dcp-sim compact 7.couch.1 --output small/7.couch.2 --purge-upto 120000
  dcp-sim compact /tmp/cluster/node-0 --in-place
  dcp-sim compact /tmp/log-store --output /tmp/small-log-store

With --output the file, or log store, is only read. With --in-place every vBucket of a store is compacted; no server may have it open.
";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(in crate::cli) struct CompactArguments {
    /// A couchstore file, or a log store's directory; with --in-place the directory of either
    /// engine's store.
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) destination: Destination,
    #[command(flatten)]
    pub(super) purge: Purge,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Destination {
    /// The new file, or log store's directory; must not exist yet.
    #[arg(long, value_name = "NEW")]
    pub(super) output: Option<PathBuf>,
    /// Replace the files of a store's directory by smaller ones.
    #[arg(long)]
    pub(super) in_place: bool,
}

/// Tombstones to purge; without an option all stay.
#[derive(Debug, Args)]
pub(super) struct Purge {
    /// Purge tombstones of deletions before this time, in seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    pub(super) purge_before: Option<u32>,
    /// Purge tombstones up to this seqno; with --purge-before only those that match both.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "SEQNO")]
    pub(super) purge_upto: Option<u64>,
}

impl Purge {
    pub(super) fn request(&self) -> CompactionRequest {
        let mut request = CompactionRequest::new();
        request.purge_before = self.purge_before;
        request.purge_upto = self.purge_upto.map(Seqno);
        request
    }
}
