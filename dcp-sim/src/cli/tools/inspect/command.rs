//! The inspection of couchstore files, and its output.

use std::io::{self, Write};

use lowtide_persistence::EngineError;
use lowtide_persistence::couchstore::{CouchFile, Keyring, Use};
use serde::Serialize;

use super::arguments::InspectArguments;
use super::figures::{HeaderFigures, Inspected, StateFigures, Uses};
use super::{log, render, table};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, message};
use crate::cli::tools::log_store;
use crate::cli::tools::store::{Other, SCHEMA, Target, Targets};
use crate::report::units;

/// Number of cells in a map: 16 lines of 64 marks.
const CELLS_MAX: u64 = 1_024;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    command: &'static str,
    files: &'a [Inspected],
    pub(super) others: &'a [Other],
}

pub(in crate::cli) fn inspect(
    arguments: &InspectArguments,
    out: &mut Output,
) -> Result<Exit, Failure> {
    if log_store::is_one(&arguments.path)? {
        return log::inspect(arguments, out);
    }
    let keys = arguments.keys.read()?;
    let targets = Targets::find(&arguments.path, None)?;
    let mut files = Vec::new();
    let mut failed: Option<Failure> = None;
    for target in &targets.files {
        match inspect_one(target, &keys, arguments.headers) {
            Ok(file) => files.push(file),
            // The other files are still readable.
            Err(failure) if targets.is_directory => {
                message!("error: {}", failure.error);
                failed = failed.or(Some(failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    if arguments.json {
        let document = Document {
            schema: SCHEMA,
            command: "inspect",
            files: &files,
            others: &targets.others,
        };
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let text = match files.as_slice() {
            [file] if !targets.is_directory => render::of_file(file),
            files => table::of_store(files),
        };
        out.styled(&text)?;
        targets.note_others();
    }
    let is_damaged = files.iter().any(|file| !file.damage.is_empty());
    Ok(if is_damaged {
        Exit::Corrupt
    } else {
        failed.map_or(Exit::Ok, |failure| failure.exit)
    })
}

fn inspect_one(target: &Target, keys: &Keyring, headers_max: usize) -> Result<Inspected, Failure> {
    let file = target.open(keys)?;
    let layout = file.layout(CELLS_MAX)?;
    let mut damage = Vec::new();
    for (name, tree) in [
        ("by-seqno", layout.by_seqno),
        ("by-id", layout.by_id),
        ("local", layout.local),
    ] {
        if tree.unreadable > 0 {
            let nodes = units::things(tree.unreadable, "node", "nodes");
            damage.push(format!("{nodes} of the {name} tree, with all below"));
        }
    }
    let state = unless_corrupt(file.state(), &mut damage)?.flatten();
    let (headers, headers_left_out) = headers(file, headers_max, &mut damage)?;
    let total = layout.total();
    Ok(Inspected {
        target: target.clone(),
        file_bytes: total.bytes,
        live_bytes: total.live_bytes(),
        dead_bytes: total.dead_bytes(),
        fragmentation: total.dead_bytes() as f64 / total.bytes.max(1) as f64,
        uses: Uses {
            bodies: total.live(Use::Body),
            by_id: total.live(Use::ById),
            by_seqno: total.live(Use::BySeqno),
            local: total.live(Use::Local),
            header: total.live(Use::Header),
        },
        bodies: layout.bodies,
        by_seqno: layout.by_seqno.into(),
        by_id: layout.by_id.into(),
        local: layout.local.into(),
        state: state.map(StateFigures::from),
        headers,
        headers_left_out,
        damage,
        layout,
    })
}

/// Returns the newest headers up to a number, and the number of older ones.
fn headers(
    file: CouchFile,
    most: usize,
    damage: &mut Vec<String>,
) -> Result<(Vec<HeaderFigures>, u64), Failure> {
    let mut headers = Vec::new();
    let mut left_out = 0;
    let mut next = Some(file);
    while let Some(file) = next {
        // The newest is always listed, since it defines the file.
        if headers.len() < most.max(1) {
            headers.push(file.header().into());
        } else {
            left_out += 1;
        }
        next = unless_corrupt(file.older(), damage)?.flatten();
    }
    Ok((headers, left_out))
}

/// Records damage and continues.
fn unless_corrupt<T>(
    result: Result<T, EngineError>,
    damage: &mut Vec<String>,
) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::Corrupt { offset, what, .. }) => {
            damage.push(format!("offset {offset}: {what}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
