//! The command: it selects the kind of compaction, and prints its results.

use std::io::{self, Write};
use std::path::Path;

use lowtide_persistence::couchstore::compact_file;
use lowtide_persistence::disk::{DiskErrorKind, OsDisk};
use lowtide_persistence::{CompactionRequest, EngineError};
use serde::Serialize;

use super::arguments::CompactArguments;
use super::compacted::Compacted;
use super::{in_place, log};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::tools::log_store;
use crate::cli::tools::progress::{PROGRESS_ROWS, progress_bar};
use crate::cli::tools::store::{SCHEMA, Targets};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    in_place: bool,
    files: &'a [Compacted],
}

pub(in crate::cli) fn compact(
    arguments: &CompactArguments,
    out: &mut Output,
) -> Result<Exit, Failure> {
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
    // Damage has priority over other failures.
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
            "nothing is overwritten: name a new file"
        }
        _ => return error.into(),
    };
    Failure::new(Exit::Usage, &error).with_hint(hint.to_owned())
}
