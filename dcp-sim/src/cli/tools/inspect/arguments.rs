//! Arguments of `dcp-sim inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::quantity;
use crate::cli::tools::store::KeyArguments;

const EXAMPLES: &str = "\
Examples:
  dcp-sim inspect 7.couch.1
  dcp-sim inspect /tmp/cluster/node-0            one line per vBucket
  dcp-sim inspect 7.couch.1 --headers 100 --json
";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(in crate::cli) struct InspectArguments {
    /// A couchstore file, or the directory of either engine's store.
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// List at most N headers, newest first.
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", default_value_t = 10)]
    pub(super) headers: usize,
    /// List at most N segments of a log store, those with the least live data first.
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", default_value_t = 10)]
    pub(super) segments: usize,
    #[command(flatten)]
    pub(super) keys: KeyArguments,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}
