//! Data ten times as large as the page cache: the cost of reads and small commits if most of what
//! they need is on the device.
//!
//! One process for each engine writes every key once, overwrites all of them in random order,
//! compacts if the engine can, and ends. Another one opens the store, does a little of everything,
//! so that the engine's memory is filled, and waits until nothing is written any more. Then its
//! page cache is limited and emptied, and the process is measured.
//!
//! A tenth of the data's bytes is cached: half of it by the engine, half by the system, or all of
//! it by the system for an engine without a cache. Other memory of an engine (indexes, filters,
//! write buffers) comes on top, and is reported.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Args;

use super::storage;
use crate::engines::{self, KEY_BYTES, VALUE_BYTES};
use crate::table::Table;

mod group;
mod life;

use group::Group;
pub use life::{ChildArguments, child};

/// One in `SHARE` of the data's bytes is kept in memory.
const SHARE: u64 = 10;
const MIB: f64 = (1 << 20) as f64;

#[derive(Args)]
pub struct Arguments {
    /// Distinct keys; a multiple of 1,000.
    #[arg(long, default_value_t = 1_000_000)]
    items: u64,
    /// Gets that are timed, of each kind; the same number precedes them.
    #[arg(long, default_value_t = 20_000)]
    gets: u64,
    /// Commits of 100 overwrites.
    #[arg(long, default_value_t = 200)]
    commits: u64,
    /// Names of the engines; all if there are none.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Directory for the data, removed afterwards.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
}

const GETS: [&str; 4] = ["gets/s", "p50 us", "p99 us", "read, KiB a get"];
const TABLES: [(&str, &[&str]); 5] = [
    (
        "memory and files, MiB",
        &[
            "keys and values",
            "files",
            "own cache",
            "page cache",
            "all other memory",
            "at most",
        ],
    ),
    (
        "random gets by key, the page cache a tenth of the data",
        &GETS,
    ),
    ("gets by key, drawn by Zipf (0.99)", &GETS),
    (
        "scan of everything by seqno",
        &["items/s", "read, B for each B of keys and values"],
    ),
    (
        "commits of 100 random overwrites",
        &["items/s", "p50 us", "p99 us", "read, KiB an item"],
    ),
];

pub fn run(arguments: &Arguments) -> ExitCode {
    // Checked before anything is written.
    if let Err(why) = Group::make() {
        eprintln!("error: the page cache can't be limited: {why}");
        return ExitCode::FAILURE;
    }
    let dir = storage::made(&arguments.dir);
    println!(
        "{} keys of {KEY_BYTES} B, random values of {VALUE_BYTES} B, one run; {}, read-ahead up to {} KiB",
        arguments.items,
        storage::file_system(&dir),
        storage::read_ahead_kib(&dir)
    );
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    for (name, _) in engines::wanted(&arguments.peers) {
        eprintln!("{name}");
        let dir = storage::new_dir(&dir);
        match arguments
            .filled(name, dir.path())
            .and_then(|()| arguments.measured(name, dir.path()))
        {
            Ok(figures) => rows.push((name, figures)),
            Err(why) => eprintln!("error: {name} has no row: {why}"),
        }
    }
    let mut first = 0;
    for (title, columns) in TABLES {
        let mut table = Table::new(
            title,
            columns.iter().map(|&column| column.to_owned()).collect(),
        );
        for (name, figures) in &rows {
            table.row(name, figures[first..first + columns.len()].to_vec());
        }
        table.print();
        first += columns.len();
    }
    ExitCode::SUCCESS
}

impl Arguments {
    fn filled(&self, peer: &str, dir: &Path) -> Result<(), String> {
        let mut process = self.start(peer, dir, None)?;
        ended(&mut process)?;
        storage::forget_cached(dir);
        Ok(())
    }

    /// Returns the figures in the order of [`TABLES`]' columns.
    fn measured(&self, peer: &str, dir: &Path) -> Result<Vec<f64>, String> {
        let user_bytes = self.items * (KEY_BYTES + VALUE_BYTES) as u64;
        let own_bytes = own_cache_bytes(peer, self.items);
        let page_bytes = user_bytes / SHARE - own_bytes;
        let group = Group::make()?;
        let mut process = self.start(peer, dir, Some(group.path()))?;
        let (said, says) = (
            process.stdout.take().expect("piped"),
            process.stdin.take().expect("piped"),
        );
        let (mut said, mut says) = (BufReader::new(said), says);
        let mut line = move || {
            let mut line = String::new();
            said.read_line(&mut line).map(|_| line)
        };
        // The line says that the process is ready. If it failed, its exit status reports that.
        let _ = line();
        let (engine_bytes, files) = (group.beside_cache_bytes(), storage::allocated_bytes(dir));
        let (figures, most_bytes) = group.holding(page_bytes, dir, || {
            writeln!(says)?;
            line()
        });
        ended(&mut process)?;
        let figures = figures.map_err(|error| error.to_string())?;
        let figures: Vec<f64> =
            serde_json::from_str(&figures).map_err(|error| error.to_string())?;
        let beside = [engine_bytes, most_bytes].map(|bytes| bytes.saturating_sub(own_bytes));
        let memory = [
            user_bytes, files, own_bytes, page_bytes, beside[0], beside[1],
        ];
        Ok([&memory.map(|bytes| bytes as f64 / MIB)[..], &figures].concat())
    }

    /// Starts the process that fills the store or, in a group, is measured.
    fn start(&self, peer: &str, dir: &Path, group: Option<&Path>) -> Result<Child, String> {
        let mut command = Command::new(std::env::current_exe().expect("running"));
        command
            .args(["cold-child", "--peer", peer])
            .arg("--dir")
            .arg(dir);
        for (name, value) in [
            ("--items", self.items),
            ("--gets", self.gets),
            ("--commits", self.commits),
        ] {
            command.args([name, &value.to_string()]);
        }
        if let Some(group) = group {
            command.arg("--group").arg(group);
        }
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().map_err(|error| error.to_string())
    }
}

fn ended(process: &mut Child) -> Result<(), String> {
    let status = process.wait().map_err(|error| error.to_string())?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| format!("its process ended with {status}"))
}

/// Returns the bytes of the data that an engine's own cache may have.
fn own_cache_bytes(peer: &str, items: u64) -> u64 {
    let kept_bytes = items * (KEY_BYTES + VALUE_BYTES) as u64 / SHARE;
    if engines::has_cache(peer) {
        kept_bytes / 2
    } else {
        0
    }
}
