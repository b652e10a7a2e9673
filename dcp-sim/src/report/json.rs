//! The report as one JSON object.

use serde::Serialize;

use super::times::Times;
use crate::sim::Report;

/// Rises when a field changes its meaning or goes; new fields may come.
pub(super) const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    clean: bool,
    #[serde(flatten)]
    report: &'a Report,
    times: &'a Times,
}

/// One line. Without its field `times`, two runs with one seed and source give the same bytes.
#[must_use]
pub fn json(report: &Report, times: &Times) -> String {
    let document = Document {
        schema: SCHEMA,
        command: "run",
        clean: report.is_clean(),
        report,
        times,
    };
    // Names, numbers and texts only: nothing in it can fail to be JSON.
    serde_json::to_string(&document).unwrap_or_default()
}
