//! `dcp-sim compact --output` of a log store: it copies the store into a new directory, without
//! unreachable data.
//!
//! # Invariants
//!
//! - The old store is only read, without its lock.
//! - The new store gets its name when it is complete and durable. Until then it is
//!   `NAME.unfinished` next to it, which is removed after a failure.
//! - A damaged store is refused: the copy would lose the damaged parts without a trace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use indicatif::ProgressBar;
use lowtide_checkpoint::Seqno;
use lowtide_persistence::Severity;
use lowtide_persistence::disk::{Disk, OsDisk};
use lowtide_persistence::logstor::{
    LogDirectory, LogFinding, LogFindingKind, LogObserver, compact_store,
};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::tools::compact::arguments::Purge;
use crate::cli::tools::compact::compacted::Compacted;
use crate::cli::tools::log_store;
use crate::cli::tools::progress::{percent_bar, progress_bar};
use crate::cli::tools::store::Target;

pub(in crate::cli) fn compact(
    path: &Path,
    output: &Path,
    purge: &Purge,
) -> Result<Compacted, Failure> {
    let unfinished = places(path, output)?;
    let store = sound(path)?;
    fs::create_dir(&unfinished).map_err(|error| failed(&unfinished, &error))?;
    let target = Target {
        path: path.display().to_string(),
        vb: None,
        revision: None,
    };
    finished(&store, &unfinished, output, purge.purge_upto.map(Seqno))
        .map(|report| Compacted::done(&target, output, &report))
        .inspect_err(|_| {
            // A directory that remains is reported when it is in the way.
            let _ = fs::remove_dir_all(&unfinished);
        })
}

fn finished(
    store: &LogDirectory,
    unfinished: &Path,
    output: &Path,
    purge_upto: Option<Seqno>,
) -> Result<lowtide_persistence::CompactionReport, Failure> {
    let bar = progress_bar();
    let report = compact_store(store, unfinished, purge_upto, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report.map_err(log_store::failure)?;
    fs::rename(unfinished, output).map_err(|error| failed(output, &error))?;
    let disk = OsDisk::new();
    disk.sync_dir(&parent(output))
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    Ok(report)
}

/// Returns the path at which the new store is built, if the output is possible.
fn places(path: &Path, output: &Path) -> Result<PathBuf, Failure> {
    let taken = |taken: &Path, hint: &str| {
        Err(
            Failure::new(Exit::Usage, &format!("{} already exists", taken.display()))
                .with_hint(hint.to_owned()),
        )
    };
    let Some(name) = output.file_name() else {
        return taken(output, "nothing is overwritten: name a new directory");
    };
    if fs::symlink_metadata(output).is_ok() {
        return taken(output, "nothing is overwritten: name a new directory");
    }
    let resolved = |path: &Path| fs::canonicalize(path).map_err(|error| failed(path, &error));
    if resolved(&parent(output))?.starts_with(resolved(path)?) {
        let error = format!("{} would be inside {}", output.display(), path.display());
        return Err(Failure::new(Exit::Usage, &error)
            .with_hint("the old store is not changed: name a directory elsewhere".to_owned()));
    }
    let mut unfinished = OsString::from(name);
    unfinished.push(".unfinished");
    let unfinished = output.with_file_name(unfinished);
    if fs::symlink_metadata(&unfinished).is_ok() {
        return taken(
            &unfinished,
            "a compaction was killed there, or is running: remove it in the first case",
        );
    }
    Ok(unfinished)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Io, &format!("{}: {error}", path.display()))
}

/// Observer that keeps the damage of essential parts.
struct Damage {
    bar: ProgressBar,
    count: u64,
    first: Option<String>,
}

impl LogObserver for Damage {
    fn found(&mut self, finding: LogFinding) {
        // The images of a store are not essential.
        if finding.severity() == Severity::Damage && finding.kind != LogFindingKind::Image {
            self.count += 1;
            self.first
                .get_or_insert_with(|| format!("{}: {finding}", finding.path.display()));
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

fn sound(path: &Path) -> Result<LogDirectory, Failure> {
    let mut damage = Damage {
        bar: percent_bar(),
        count: 0,
        first: None,
    };
    let store = LogDirectory::read(Arc::new(OsDisk::new()), path, &mut damage);
    damage.bar.finish_and_clear();
    let store = store.map_err(log_store::failure)?;
    match damage.first {
        None => Ok(store),
        Some(first) => {
            let more = if damage.count > 1 {
                format!(", and {} more", damage.count - 1)
            } else {
                String::new()
            };
            Err(Failure::new(Exit::Corrupt, &format!("{first}{more}"))
                .with_hint(log_store::DAMAGED.to_owned()))
        }
    }
}
