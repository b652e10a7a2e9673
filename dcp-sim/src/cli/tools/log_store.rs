//! Functions that the tools for log stores share: reading a directory, and its findings.
//!
//! Nothing here writes (T3, T7).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{
    LogDirectory, LogFinding, LogFindingKind, LogObserver, is_log_store,
};
use lowtide_persistence::{EngineError, Severity};
use serde::Serialize;

use super::progress::percent_bar;
use super::store::{Other, text_or_hex};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::message;

/// Number of findings that are kept for JSON; further ones are counted.
const FINDINGS_MAX: usize = 1_000;

/// Returns `true` if a path is a log store's directory.
pub(in crate::cli) fn is_one(path: &Path) -> Result<bool, Failure> {
    if !path.is_dir() {
        return Ok(false);
    }
    is_log_store(&OsDisk::new(), path).map_err(|error| Failure::new(Exit::Io, &error))
}

/// Hint for a log store that is damaged: `recover`, the hint for a file, refuses it.
pub(in crate::cli) const DAMAGED: &str =
    "`dcp-sim check` reports the damage, `dcp-sim dump` prints the readable part";

/// Converts an error of a log store.
pub(in crate::cli) fn failure(error: EngineError) -> Failure {
    let hint = match &error {
        EngineError::Corrupt { path, .. } if path.ends_with("MANIFEST") => {
            "a log store cannot be read without its manifest: copy the store from a backup or a replica"
        }
        EngineError::Corrupt { .. } => DAMAGED,
        _ => return error.into(),
    };
    Failure::from(error).with_hint(hint.to_owned())
}

/// Refuses an option of other stores.
pub(in crate::cli) fn refuse(is_given: bool, option: &str, why: &str) -> Result<(), Failure> {
    if !is_given {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        &format!("{option} is not valid for a log store"),
    )
    .with_hint(why.to_owned()))
}

#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct JsonFinding {
    severity: &'static str,
    kind: &'static str,
    path: String,
    offset: u64,
    segment: Option<u32>,
    vb: Option<u16>,
    seqno: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_key_hex: Option<String>,
    what: String,
}

impl From<&LogFinding> for JsonFinding {
    fn from(finding: &LogFinding) -> Self {
        let (stored_key, stored_key_hex) = match finding.key.as_deref().map(text_or_hex) {
            Some((text, hex)) => (text.map(str::to_owned), hex),
            None => (None, None),
        };
        Self {
            severity: finding.severity().name(),
            kind: finding.kind.name(),
            path: finding.path.display().to_string(),
            offset: finding.offset,
            segment: finding.segment,
            vb: finding.vb.map(|vb| vb.0),
            seqno: finding.seqno.map(|seqno| seqno.0),
            stored_key,
            stored_key_hex,
            what: finding.what.clone(),
        }
    }
}

/// Observer that keeps findings and shows progress.
pub(in crate::cli) struct Watch {
    pub(in crate::cli) bar: ProgressBar,
    pub(in crate::cli) damage: u64,
    /// Part of the damage that may concern documents: not that of index images.
    pub(in crate::cli) records_damage: u64,
    /// Findings as lines, with their files.
    pub(in crate::cli) lines: Vec<String>,
    pub(in crate::cli) kept: Vec<JsonFinding>,
    pub(in crate::cli) left_out: u64,
}

impl Watch {
    pub(in crate::cli) fn new() -> Self {
        Self {
            bar: percent_bar(),
            damage: 0,
            records_damage: 0,
            lines: Vec::new(),
            kept: Vec::new(),
            left_out: 0,
        }
    }
}

impl LogObserver for Watch {
    fn found(&mut self, finding: LogFinding) {
        let is_damage = finding.severity() == Severity::Damage;
        self.damage += u64::from(is_damage);
        self.records_damage += u64::from(is_damage && finding.kind != LogFindingKind::Image);
        if self.kept.len() < FINDINGS_MAX {
            self.lines.push(format!(
                "{}: {}: {finding}",
                finding.path.display(),
                finding.severity().name()
            ));
            self.kept.push(JsonFinding::from(&finding));
        } else {
            self.left_out += 1;
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

/// Reads a store.
pub(in crate::cli) fn read(path: &Path, watch: &mut Watch) -> Result<LogDirectory, Failure> {
    let store = LogDirectory::read(Arc::new(OsDisk::new()), path, watch);
    watch.bar.finish_and_clear();
    store.map_err(failure)
}

/// Returns the skipped files.
pub(in crate::cli) fn others(paths: &[PathBuf]) -> Vec<Other> {
    let other = |path: &PathBuf| Other {
        path: path.display().to_string(),
        why: "not a log store's file",
    };
    paths.iter().map(other).collect()
}

/// Reports skipped files.
pub(in crate::cli) fn note(others: &[Other]) {
    for other in others {
        message!("note: {} is left out: {}", other.path, other.why);
    }
}
