//! Arguments of `dcp-sim dump`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lowtide_checkpoint::Seqno;
use lowtide_persistence::couchstore::{CouchFile, Keyring};

use super::printer::{Printer, Stop, Wrapped};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::quantity;
use crate::cli::tools::store::{KeyArguments, Target};

const EXAMPLES: &str = "\
Examples:
  dcp-sim dump 7.couch.1
  dcp-sim dump /tmp/cluster/node-0 --vb 3 --by key
  dcp-sim dump 7.couch.1 --headers-back 1        the state one commit before
  dcp-sim dump 7.couch.1 --local                 the vBucket's state and other local documents
";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(in crate::cli) struct DumpArguments {
    /// A couchstore file, or the directory of either engine's store.
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// Order of the documents.
    #[arg(long, value_name = "ORDER", default_value = "seqno")]
    pub(super) by: Order,
    /// Print the local documents instead.
    #[arg(long, conflicts_with = "by")]
    pub(super) local: bool,
    /// Print the state N commits before the newest.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", default_value_t = 0)]
    pub(super) headers_back: u64,
    /// Print one vBucket of a directory; without it all, each line with its vBucket.
    #[arg(long, value_name = "N")]
    pub(super) vb: Option<u16>,
    #[command(flatten)]
    pub(super) keys: KeyArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// In the order of the writes.
    Seqno,
    /// In the order of the stored keys, which begin with name space and collection.
    Key,
}

impl DumpArguments {
    pub(super) fn dump(
        &self,
        target: &Target,
        keys: &Keyring,
        printer: &mut Printer<'_>,
    ) -> Result<(), Stop> {
        let file = self.open(target, keys).map_err(Wrapped)?;
        if self.local {
            let documents = file.local_docs().map_err(Wrapped)?;
            return documents
                .iter()
                .try_for_each(|(id, value)| printer.local(id, value));
        }
        match self.by {
            Order::Seqno => printer.rows(&file, file.doc_infos(Seqno::ZERO).map_err(Wrapped)?),
            Order::Key => printer.rows(&file, file.doc_infos_by_key().map_err(Wrapped)?),
        }
    }

    fn open(&self, target: &Target, keys: &Keyring) -> Result<CouchFile, Failure> {
        let mut file = target.open(keys)?;
        for back in 0..self.headers_back {
            file = file.older()?.ok_or_else(|| {
                let error = format!(
                    "{}: there are only {back} headers before the newest",
                    target.path
                );
                Failure::new(Exit::Usage, &error)
            })?;
        }
        Ok(file)
    }
}
