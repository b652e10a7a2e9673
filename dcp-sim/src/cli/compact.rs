//! `dcp-sim compact`: a file, or a store's files, without what nobody can reach; what that came to, told.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use lowtide_checkpoint::Seqno;
use lowtide_persistence::couchstore::compact_file;
use lowtide_persistence::disk::{DiskErrorKind, OsDisk};
use lowtide_persistence::{CompactionReport, CompactionRequest, EngineError};
use serde::Serialize;

use super::check::{PROGRESS_ROWS, progress_bar};
use super::output::Output;
use super::store::{SCHEMA, Target, Targets};
use super::{Exit, Failure, log_store, quantity};
use crate::report::units;

mod in_place;
mod log;

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
pub(super) struct CompactArguments {
    /// A couchstore file, or a log store's directory; with --in-place the directory of either engine's store.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    purge: Purge,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Destination {
    /// The new file, or log store's directory; there must be none yet.
    #[arg(long, value_name = "NEW")]
    output: Option<PathBuf>,
    /// Replace the files of a store's directory by smaller ones.
    #[arg(long)]
    in_place: bool,
}

/// Which tombstones go; without either option all stay.
#[derive(Debug, Args)]
struct Purge {
    /// Purge tombstones of deletions before this time, in seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    purge_before: Option<u32>,
    /// Purge tombstones up to this seqno; with --purge-before those to which both apply.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "SEQNO")]
    purge_upto: Option<u64>,
}

impl Purge {
    fn request(&self) -> CompactionRequest {
        CompactionRequest {
            purge_before: self.purge_before,
            purge_upto: self.purge_upto.map(Seqno),
            filter: None,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    in_place: bool,
    files: &'a [Compacted],
}

/// One file, and what became of it.
#[derive(Serialize)]
struct Compacted {
    #[serde(flatten)]
    target: Target,
    /// Where its content is now; none if it could not be compacted.
    output: Option<String>,
    /// Why it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    bytes_before: u64,
    bytes_after: u64,
    items: u64,
    tombstones_purged: u64,
    prepares_dropped: u64,
    #[serde(skip)]
    exit: Exit,
}

impl Compacted {
    fn done(target: &Target, output: &Path, report: &CompactionReport) -> Self {
        Self {
            target: target.clone(),
            output: Some(output.display().to_string()),
            error: None,
            bytes_before: report.bytes_before,
            bytes_after: report.bytes_after,
            items: report.items_copied,
            tombstones_purged: report.tombstones_purged,
            prepares_dropped: report.prepares_dropped,
            exit: Exit::Ok,
        }
    }

    fn failed(target: &Target, failure: Failure) -> Self {
        let report = CompactionReport::default();
        Self {
            output: None,
            error: Some(failure.error),
            exit: failure.exit,
            ..Self::done(target, target.path(), &report)
        }
    }

    fn line(&self) -> Option<String> {
        let output = self.output.as_ref()?;
        let mut line = format!(
            "{output}: {} of {}, {}",
            units::bytes(self.bytes_after),
            units::bytes(self.bytes_before),
            units::things(
                self.items,
                "document or tombstone",
                "documents and tombstones"
            ),
        );
        if self.tombstones_purged > 0 {
            line += &format!(
                ", {} purged",
                units::things(self.tombstones_purged, "tombstone", "tombstones")
            );
        }
        if self.prepares_dropped > 0 {
            let prepares = units::things(
                self.prepares_dropped,
                "completed prepare",
                "completed prepares",
            );
            line += &format!(", {prepares} dropped");
        }
        Some(line)
    }
}

pub(super) fn compact(arguments: &CompactArguments, out: &mut Output) -> Result<Exit, Failure> {
    let files = match &arguments.destination.output {
        _ if log_store::is_one(&arguments.path)? => log::compact(arguments)?,
        Some(output) => vec![one(&arguments.path, output, arguments.purge.request())?],
        None => in_place::compact(&arguments.path, &arguments.purge)?,
    };
    if arguments.json {
        let in_place = arguments.destination.in_place;
        let document = Document {
            schema: SCHEMA,
            command: "compact",
            in_place,
            files: &files,
        };
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        for line in files.iter().filter_map(Compacted::line) {
            writeln!(out, "{line}")?;
        }
    }
    // Damage is the news that must not be missed.
    let exits = || {
        files
            .iter()
            .map(|file| file.exit)
            .filter(|&exit| exit != Exit::Ok)
    };
    Ok(exits()
        .find(|&exit| exit == Exit::Corrupt)
        .or_else(|| exits().next())
        .unwrap_or(Exit::Ok))
}

/// Compacts a file into a new one.
fn one(path: &Path, output: &Path, request: CompactionRequest) -> Result<Compacted, Failure> {
    let targets = Targets::find(path, None)?;
    let [target] = targets.files.as_slice() else {
        return Err(directory(path));
    };
    if targets.is_directory {
        return Err(directory(path));
    }
    let bar = progress_bar();
    let mut progress = |done: u64, of: u64| {
        if done.is_multiple_of(PROGRESS_ROWS) {
            bar.set_length(of);
            bar.set_position(done);
        }
    };
    let result = compact_file(&OsDisk::new(), path, output, request, &mut progress);
    bar.finish_and_clear();
    let report = result.map_err(failure)?;
    Ok(Compacted::done(target, output, &report))
}

fn directory(path: &Path) -> Failure {
    Failure::new(Exit::Usage, &format!("{} is a directory", path.display()))
        .with_hint("--output takes one file; --in-place compacts a directory's files".to_owned())
}

fn failure(error: EngineError) -> Failure {
    let hint = match &error {
        EngineError::Disk(disk) if disk.kind == DiskErrorKind::AlreadyExists => {
            "nothing is overwritten: name a file that is not there"
        }
        _ => return error.into(),
    };
    Failure::new(Exit::Usage, &error).with_hint(hint.to_owned())
}
