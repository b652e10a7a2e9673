//! `dcp-sim inspect`: what a store's files hold, how their trees are built, and how much of them is live.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use lowtide_checkpoint::{SnapshotType, VBucketState};
use lowtide_persistence::EngineError;
use lowtide_persistence::couchstore::{CouchFile, HeaderInfo, Keyring, Layout, TreeLayout, Use};
use serde::Serialize;

use super::output::{Output, tell};
use super::store::{KeyArguments, Other, SCHEMA, Target, Targets};
use super::{Exit, Failure, log_store, quantity};
use crate::report::units;

mod log;
mod log_picture;
mod picture;
mod table;

const EXAMPLES: &str = "\
Examples:
  dcp-sim inspect 7.couch.1
  dcp-sim inspect /tmp/cluster/node-0            a line for each vBucket
  dcp-sim inspect 7.couch.1 --headers 100 --json
";

/// What a map has room for: 16 lines of 64 marks.
const CELLS_MAX: u64 = 1_024;

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct InspectArguments {
    /// A couchstore file, or the directory of either engine's store.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// List at most so many headers, newest first.
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", default_value_t = 10)]
    headers: usize,
    /// List at most so many segments of a log store, those with the least that lives first.
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", default_value_t = 10)]
    segments: usize,
    #[command(flatten)]
    keys: KeyArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    files: &'a [Inspected],
    others: &'a [Other],
}

/// What there is to know of a file.
#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    target: Target,
    file_bytes: u64,
    live_bytes: u64,
    dead_bytes: u64,
    /// What is dead, as a part of the file.
    fragmentation: f64,
    uses: Uses,
    bodies: u64,
    by_seqno: TreeFigures,
    by_id: TreeFigures,
    local: TreeFigures,
    state: Option<StateFigures>,
    headers: Vec<HeaderFigures>,
    headers_left_out: u64,
    /// What can't be read.
    damage: Vec<String>,
    #[serde(skip)]
    layout: Layout,
}

/// Live bytes by what they are.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Uses {
    bodies: u64,
    by_id: u64,
    by_seqno: u64,
    local: u64,
    header: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct TreeFigures {
    depth: u64,
    interior_nodes: u64,
    leaves: u64,
    rows: u64,
    disk_bytes: u64,
    raw_bytes: u64,
    fill: f64,
}

impl From<TreeLayout> for TreeFigures {
    fn from(tree: TreeLayout) -> Self {
        let TreeLayout {
            depth,
            interior_nodes,
            leaves,
            rows,
            disk_bytes,
            raw_bytes,
            ..
        } = tree;
        Self {
            depth,
            interior_nodes,
            leaves,
            rows,
            disk_bytes,
            raw_bytes,
            fill: tree.fill(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct StateFigures {
    state: &'static str,
    snapshot_start: u64,
    snapshot_end: u64,
    snapshot_type: &'static str,
    max_visible_seqno: u64,
    high_completed_seqno: u64,
    high_prepared_seqno: u64,
    max_cas: String,
    failover_log: Vec<(u64, u64)>,
}

impl From<VBucketState> for StateFigures {
    fn from(state: VBucketState) -> Self {
        let branches = state.failover_log.entries().iter();
        Self {
            state: state.state.name(),
            snapshot_start: state.snapshot_start.0,
            snapshot_end: state.snapshot_end.0,
            snapshot_type: match state.snapshot_type {
                SnapshotType::Memory => "memory",
                SnapshotType::Disk => "disk",
                SnapshotType::InitialDisk => "initial disk",
            },
            max_visible_seqno: state.max_visible_seqno.0,
            high_completed_seqno: state.high_completed_seqno.0,
            high_prepared_seqno: state.high_prepared_seqno.0,
            max_cas: state.max_cas.to_string(),
            failover_log: branches
                .map(|entry| (entry.uuid.0, entry.seqno.0))
                .collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
struct HeaderFigures {
    position: u64,
    version: u8,
    high_seqno: u64,
    purge_seqno: u64,
    documents: u64,
    tombstones: u64,
    live_bytes: u64,
    /// Nanoseconds since 1970; 0 where the version has none.
    timestamp: u64,
    previous: Option<u64>,
}

impl From<HeaderInfo> for HeaderFigures {
    fn from(header: HeaderInfo) -> Self {
        Self {
            position: header.position,
            version: header.version,
            high_seqno: header.info.high.0,
            purge_seqno: header.info.purge.0,
            documents: header.info.items,
            tombstones: header.info.deleted,
            live_bytes: header.live_bytes,
            timestamp: header.timestamp,
            previous: header.previous,
        }
    }
}

pub(super) fn inspect(arguments: &InspectArguments, out: &mut Output) -> Result<Exit, Failure> {
    if log_store::is_one(&arguments.path)? {
        return log::inspect(arguments, out);
    }
    let keys = arguments.keys.read()?;
    let targets = Targets::find(&arguments.path, None)?;
    let mut files = Vec::new();
    let mut failed: Option<Failure> = None;
    for target in &targets.files {
        match look_at(target, &keys, arguments.headers) {
            Ok(file) => files.push(file),
            // The others can be looked at all the same.
            Err(failure) if targets.is_directory => {
                tell!("error: {}", failure.error);
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
            [file] if !targets.is_directory => picture::of_file(file),
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

fn look_at(target: &Target, keys: &Keyring, headers_max: usize) -> Result<Inspected, Failure> {
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

/// Headers from the newest back, as many as are wanted, and how many more there are.
fn headers(
    file: CouchFile,
    most: usize,
    damage: &mut Vec<String>,
) -> Result<(Vec<HeaderFigures>, u64), Failure> {
    let (mut headers, mut left_out) = (Vec::new(), 0);
    let mut next = Some(file);
    while let Some(file) = next {
        // The newest is always told: it is what the file is.
        if headers.len() < most.max(1) {
            headers.push(file.header().into());
        } else {
            left_out += 1;
        }
        next = unless_corrupt(file.older(), damage)?.flatten();
    }
    Ok((headers, left_out))
}

/// Notes damage and goes on.
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
