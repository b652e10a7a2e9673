//! Report of a run as one JSON object.

use std::io;

use serde::Serialize;

use super::times::Times;
use crate::sim::Report;

/// Schema version. It rises when a field is removed or changes its meaning; new fields may appear
/// in between.
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

/// Returns the report as one line. Except for its field `times`, equal seeds and sources give equal
/// bytes.
///
/// # Errors
/// If the report cannot be serialized: no verdict is printed rather than an empty one.
pub fn json(report: &Report, times: &Times) -> io::Result<String> {
    let document = Document {
        schema: SCHEMA,
        command: "run",
        clean: report.is_clean(),
        report,
        times,
    };
    Ok(serde_json::to_string(&document)?)
}
