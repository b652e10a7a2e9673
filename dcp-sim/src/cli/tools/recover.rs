//! `dcp-sim recover`: copies the readable part of a damaged file into a new one, and reports the
//! losses.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use lowtide_persistence::couchstore::{Loss, SalvageObserver, Salvaged, salvage};
use lowtide_persistence::disk::{DiskErrorKind, OsDisk};
use serde::Serialize;

use super::log_store;
use super::progress::{PROGRESS_ROWS, progress_bar};
use super::store::{KeyArguments, SCHEMA, refuse_log_file, text_or_hex};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::report::units;

const EXAMPLES: &str = "\
Examples:
  dcp-sim recover 7.couch.1 --output saved/7.couch.2
  dcp-sim recover 7.couch.1 --output saved/7.couch.2 --json

The source is only read. The exit code is 0 if nothing was lost, 1 if something was, 4 if nothing can be read.
";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(in crate::cli) struct RecoverArguments {
    /// A damaged couchstore file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new file; must not exist yet.
    #[arg(long, value_name = "NEW")]
    output: PathBuf,
    #[command(flatten)]
    keys: KeyArguments,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    command: &'static str,
    source: String,
    output: String,
    header: u64,
    high_seqno: u64,
    rows: u64,
    found_by_key: u64,
    local_documents: u64,
    losses: Vec<JsonLoss>,
}

#[derive(Serialize)]
struct JsonLoss {
    offset: u64,
    first_seqno: Option<u64>,
    last_seqno: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_key_hex: Option<String>,
    rows: Option<u64>,
    what: String,
}

impl From<Loss> for JsonLoss {
    fn from(loss: Loss) -> Self {
        let (stored_key, stored_key_hex) = match loss.key.as_deref().map(text_or_hex) {
            Some((text, hex)) => (text.map(str::to_owned), hex),
            None => (None, None),
        };
        let (first_seqno, last_seqno) = loss.seqnos.map(|(first, last)| (first.0, last.0)).unzip();
        let Loss {
            offset, rows, what, ..
        } = loss;
        Self {
            offset,
            first_seqno,
            last_seqno,
            stored_key,
            stored_key_hex,
            rows,
            what,
        }
    }
}

pub(in crate::cli) fn recover(
    arguments: &RecoverArguments,
    out: &mut Output,
) -> Result<Exit, Failure> {
    if arguments.file.is_dir() {
        return Err(directory(&arguments.file));
    }
    refuse_log_file(&arguments.file)?;
    let keys = arguments.keys.read()?;
    let mut watch = Watch {
        out: &mut *out,
        bar: progress_bar(),
        json: arguments.json,
        losses: Vec::new(),
    };
    let result = salvage(
        &OsDisk::new(),
        &arguments.file,
        &arguments.output,
        &keys,
        &mut watch,
    );
    watch.bar.finish_and_clear();
    let losses = watch.losses;
    let salvaged = result.map_err(failure)?;
    if arguments.json {
        let document = arguments.document(&salvaged, losses);
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let rows = units::things(
            salvaged.rows,
            "document or tombstone",
            "documents and tombstones",
        );
        let locals = units::things(salvaged.locals, "local document", "local documents");
        writeln!(
            out,
            "{}: {rows}, {locals}, high seqno {}",
            arguments.output.display(),
            salvaged.high
        )?;
        writeln!(
            out,
            "from the header at {} of {}",
            salvaged.header,
            arguments.file.display()
        )?;
        if salvaged.found_by_key > 0 {
            writeln!(
                out,
                "of which {} by key, since the by-seqno index is damaged",
                units::count(salvaged.found_by_key)
            )?;
        }
        match salvaged.losses {
            0 => writeln!(out, "nothing was lost")?,
            losses => writeln!(
                out,
                "LOST: {}, listed above",
                units::things(losses, "thing", "things")
            )?,
        }
    }
    Ok(if salvaged.losses == 0 {
        Exit::Ok
    } else {
        Exit::Violation
    })
}

fn directory(path: &Path) -> Failure {
    // A directory that cannot be read is still a directory.
    let is_log_store = log_store::is_one(path).unwrap_or(false);
    let (what, hint) = if is_log_store {
        (
            "a log store",
            "`dcp-sim dump` prints the readable part of a log store",
        )
    } else {
        ("a directory", "name one file of it")
    };
    Failure::new(Exit::Usage, &format!("{} is {what}", path.display())).with_hint(hint.to_owned())
}

fn failure(error: lowtide_persistence::EngineError) -> Failure {
    match &error {
        lowtide_persistence::EngineError::Disk(disk)
            if disk.kind == DiskErrorKind::AlreadyExists =>
        {
            Failure::new(Exit::Usage, &error)
                .with_hint("nothing is overwritten: name a new file".to_owned())
        }
        lowtide_persistence::EngineError::Corrupt { .. } => Failure::new(Exit::Corrupt, &error),
        _ => error.into(),
    }
}

impl RecoverArguments {
    fn document(&self, salvaged: &Salvaged, losses: Vec<JsonLoss>) -> Document {
        Document {
            schema: SCHEMA,
            command: "recover",
            source: self.file.display().to_string(),
            output: self.output.display().to_string(),
            header: salvaged.header,
            high_seqno: salvaged.high.0,
            rows: salvaged.rows,
            found_by_key: salvaged.found_by_key,
            local_documents: salvaged.locals,
            losses,
        }
    }
}

/// Observer that prints losses at once, or keeps them: each must be reported.
struct Watch<'a> {
    out: &'a mut Output,
    bar: ProgressBar,
    json: bool,
    losses: Vec<JsonLoss>,
}

impl SalvageObserver for Watch<'_> {
    fn lost(&mut self, loss: Loss) {
        if self.json {
            self.losses.push(loss.into());
            return;
        }
        let out = &mut *self.out;
        // Outputs never fail.
        let _ = self.bar.suspend(|| writeln!(out, "{}", line(&loss)));
    }

    fn progress(&mut self, done: u64, total: u64) {
        if done.is_multiple_of(PROGRESS_ROWS) {
            self.bar.set_length(total);
            self.bar.set_position(done);
        }
    }
}

fn line(loss: &Loss) -> String {
    let word = if loss.rows == Some(0) {
        "doubtful"
    } else {
        "lost"
    };
    let mut text = format!("{word}: offset {}", loss.offset);
    if let Some((first, last)) = loss.seqnos {
        text += &if first == last {
            format!(", seqno {first}")
        } else {
            format!(", seqnos {first} to {last}")
        };
    }
    if let Some(key) = loss.key_shown() {
        text += &format!(", key {key}");
    }
    match loss.rows {
        Some(0 | 1) | None => {}
        Some(rows) => text += &format!(", {} rows", units::count(rows)),
    }
    format!("{text}: {}", loss.what)
}
