//! The check of couchstore files, and its arguments.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use lowtide_persistence::Severity;
use lowtide_persistence::couchstore::{
    CheckObserver, CheckReport, Finding, Keyring, Tree, check_file,
};
use lowtide_persistence::disk::OsDisk;
use serde::Serialize;

use super::log;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::tools::log_store;
use crate::cli::tools::progress::{PROGRESS_ROWS, progress_bar};
use crate::cli::tools::store::{KeyArguments, Other, SCHEMA, Target, Targets, text_or_hex};
use crate::report::units;

const EXAMPLES: &str = "\
Examples:
  dcp-sim check 7.couch.1
  dcp-sim check /tmp/cluster/node-0
  dcp-sim check /opt/couchbase/var/lib/couchbase/data/travel-sample --json
";

/// Number of a file's findings that are kept for JSON; further ones are counted.
const FINDINGS_MAX: usize = 1_000;

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(in crate::cli) struct CheckArguments {
    /// A couchstore file, or the directory of either engine's store.
    #[arg(value_name = "PATH")]
    path: PathBuf,
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
    sound: bool,
    /// Number of files that could not be checked.
    not_looked_at: u64,
    files: &'a [Checked],
    others: &'a [Other],
}

/// Result of one file.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    target: Target,
    sound: bool,
    /// Error of a file that could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    headers: u64,
    nodes: u64,
    rows: u64,
    bodies: u64,
    body_bytes: u64,
    file_bytes: u64,
    findings: Vec<JsonFinding>,
    findings_left_out: u64,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Serialize)]
struct JsonFinding {
    severity: &'static str,
    kind: &'static str,
    offset: u64,
    tree: Option<&'static str>,
    seqno: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_key_hex: Option<String>,
    what: String,
}

impl From<&Finding> for JsonFinding {
    fn from(finding: &Finding) -> Self {
        let (stored_key, stored_key_hex) = match finding.key.as_deref().map(text_or_hex) {
            Some((text, hex)) => (text.map(str::to_owned), hex),
            None => (None, None),
        };
        Self {
            severity: finding.severity().name(),
            kind: finding.kind.name(),
            offset: finding.offset,
            tree: finding.tree.map(|tree| match tree {
                Tree::BySeqno => "by-seqno",
                Tree::ById => "by-id",
                Tree::Local => "local",
            }),
            seqno: finding.seqno.map(|seqno| seqno.0),
            stored_key,
            stored_key_hex,
            what: finding.what.clone(),
        }
    }
}

pub(in crate::cli) fn check(arguments: &CheckArguments, out: &mut Output) -> Result<Exit, Failure> {
    if log_store::is_one(&arguments.path)? {
        return log::check(&arguments.path, arguments.json, out);
    }
    let keys = arguments.keys.read()?;
    let targets = Targets::find(&arguments.path, None)?;
    targets.note_others();
    let checked: Vec<Checked> = targets
        .files
        .iter()
        .map(|target| check_one(target, &keys, arguments.json, out))
        .collect::<Result<_, _>>()?;
    let damaged = checked
        .iter()
        .filter(|file| file.exit == Exit::Corrupt)
        .count();
    let failed = checked.iter().find(|file| file.error.is_some());
    let not_looked_at = checked.iter().filter(|file| file.error.is_some()).count() as u64;
    let sound = damaged == 0 && failed.is_none();
    if arguments.json {
        let files = &checked;
        let others = &targets.others;
        let document = Document {
            schema: SCHEMA,
            command: "check",
            sound,
            not_looked_at,
            files,
            others,
        };
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if targets.is_directory {
        let files = units::things(checked.len() as u64, "file", "files");
        let verdict = if damaged == 0 {
            "none damaged".to_owned()
        } else {
            format!("{damaged} DAMAGED")
        };
        let unknown = if not_looked_at == 0 {
            String::new()
        } else {
            format!(", {not_looked_at} NOT CHECKED")
        };
        writeln!(out, "{files}, {verdict}{unknown}")?;
    }
    Ok(match failed {
        _ if damaged > 0 => Exit::Corrupt,
        Some(file) => file.exit,
        None => Exit::Ok,
    })
}

/// Checks one file. An error is reported, and the other files are checked anyway.
fn check_one(
    target: &Target,
    keys: &Keyring,
    json: bool,
    out: &mut Output,
) -> Result<Checked, Failure> {
    let mut watch = Watch::new(target, json, out);
    let result = check_file(&OsDisk::new(), target.path(), keys, &mut watch);
    watch.bar.finish_and_clear();
    let (report, error, failed) = match result {
        Ok(report) => (report, None, Exit::Ok),
        Err(error) => {
            let mut failure = Failure::from(error);
            // The hint for damage is this command.
            failure.hint = failure.hint.filter(|_| failure.exit != Exit::Corrupt);
            failure.report();
            (CheckReport::default(), Some(failure.error), failure.exit)
        }
    };
    let exit = if watch.damage > 0 {
        Exit::Corrupt
    } else {
        failed
    };
    if !json && error.is_none() {
        let word = if watch.damage > 0 { "DAMAGED" } else { "sound" };
        writeln!(
            watch.out,
            "{}: {word}: {}, {}, {}, {} of {} in {}",
            target.path,
            units::things(report.headers, "header", "headers"),
            units::things(report.nodes, "node", "nodes"),
            units::things(report.rows, "row", "rows"),
            units::things(report.bodies, "body", "bodies"),
            units::bytes(report.body_bytes),
            units::bytes(report.file_bytes),
        )?;
    }
    Ok(Checked {
        target: target.clone(),
        sound: exit == Exit::Ok,
        error,
        headers: report.headers,
        nodes: report.nodes,
        rows: report.rows,
        bodies: report.bodies,
        body_bytes: report.body_bytes,
        file_bytes: report.file_bytes,
        findings: watch.kept,
        findings_left_out: watch.left_out,
        exit,
    })
}

/// Observer that prints findings at once, or keeps them.
struct Watch<'a> {
    target: &'a Target,
    json: bool,
    out: &'a mut Output,
    bar: ProgressBar,
    damage: u64,
    kept: Vec<JsonFinding>,
    left_out: u64,
}

impl<'a> Watch<'a> {
    fn new(target: &'a Target, json: bool, out: &'a mut Output) -> Self {
        Self {
            target,
            json,
            out,
            bar: progress_bar(),
            damage: 0,
            kept: Vec::new(),
            left_out: 0,
        }
    }
}

impl CheckObserver for Watch<'_> {
    fn found(&mut self, finding: Finding) {
        self.damage += u64::from(finding.severity() == Severity::Damage);
        if !self.json {
            let path = &self.target.path;
            let word = finding.severity().name();
            let out = &mut *self.out;
            // Outputs never fail.
            let _ = self
                .bar
                .suspend(|| writeln!(out, "{path}: {word}: {finding}"));
        } else if self.kept.len() < FINDINGS_MAX {
            self.kept.push(JsonFinding::from(&finding));
        } else {
            self.left_out += 1;
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        if done.is_multiple_of(PROGRESS_ROWS) {
            self.bar.set_length(total);
            self.bar.set_position(done);
        }
    }
}
