//! Result of the compaction of one file or store.

use std::path::Path;

use lowtide_persistence::CompactionReport;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::tools::store::Target;
use crate::report::units;

/// One file with its result.
#[derive(Serialize)]
pub(super) struct Compacted {
    #[serde(flatten)]
    target: Target,
    /// Path of the new content; `None` after a failure.
    output: Option<String>,
    /// Error of the compaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    bytes_before: u64,
    bytes_after: u64,
    items: u64,
    tombstones_purged: u64,
    prepares_dropped: u64,
    #[serde(skip)]
    pub(super) exit: Exit,
}

impl Compacted {
    pub(super) fn done(target: &Target, output: &Path, report: &CompactionReport) -> Self {
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

    pub(super) fn failed(target: &Target, failure: Failure) -> Self {
        let report = CompactionReport::default();
        Self {
            output: None,
            error: Some(failure.error),
            exit: failure.exit,
            ..Self::done(target, target.path(), &report)
        }
    }

    pub(super) fn line(&self) -> Option<String> {
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
