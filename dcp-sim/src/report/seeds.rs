//! Result of one seed among many: one line for people, or one JSON object.
//!
//! Neither contains anything of the machine, so results are compared byte by byte (W17).

use std::fmt::Write;
use std::io;

use serde::Serialize;

use super::json::SCHEMA;
use super::units;
use crate::sim::{Report, Shape};

/// Result of one seed.
#[derive(Clone, Copy, Debug)]
pub struct SeedResult<'a> {
    /// The seed.
    pub seed: u64,
    /// Report of a run that reached its end.
    pub report: Option<&'a Report>,
    /// Drawn shape, if shapes are drawn.
    pub shape: Option<&'a Shape>,
    /// Description of the violations, if any.
    pub why: Option<&'a str>,
    /// Command that replays it.
    pub command: &'a str,
}

/// Formats a seed as one line; a broken one has more lines, with the command that replays it.
#[must_use]
pub fn seed_text(result: &SeedResult<'_>) -> String {
    let SeedResult {
        seed,
        report,
        shape,
        why,
        command,
    } = *result;
    let Some(why) = why else {
        let cluster = shape.map_or(String::new(), |shape| format!("{}: ", shape.brief()));
        let figures = report.map_or(String::new(), figures);
        return format!("seed {seed:<8} clean   {cluster}{figures}\n");
    };
    let mut text = format!("seed {seed:<8} BROKEN  {why}\n");
    // Writing to a string never fails.
    if let Some(shape) = shape {
        let _ = writeln!(text, "  drew: {}", shape.describe());
    }
    let _ = writeln!(text, "  replay: {command}");
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    clean: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<&'a str>,
    replay: &'a str,
    #[serde(flatten)]
    report: Option<&'a Report>,
    #[serde(flatten)]
    instead: Option<Instead<'a>>,
}

/// Fields of a seed without a report.
#[derive(Serialize)]
struct Instead<'a> {
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'a Shape>,
}

/// Formats a seed as one line of JSON. It has the fields of a single run's object except `times`,
/// and `broken` and `replay`.
///
/// # Errors
/// If the result cannot be serialized: no verdict is printed rather than an empty one.
pub fn seed_json(result: &SeedResult<'_>) -> io::Result<String> {
    let SeedResult {
        seed,
        report,
        shape,
        why,
        command,
    } = *result;
    let document = Document {
        schema: SCHEMA,
        command: "run",
        clean: why.is_none(),
        broken: why,
        replay: command,
        report,
        instead: report.is_none().then_some(Instead { seed, shape }),
    };
    Ok(serde_json::to_string(&document)?)
}

/// Formats the figures of a run in one line.
pub(super) fn figures(report: &Report) -> String {
    let figures = &report.figures;
    let mut text = format!(
        "{} mutations, {}",
        units::count(figures.mutations),
        units::micros(figures.virtual_micros)
    );
    if let Some(faults) = &report.faults {
        let struck: u64 = faults.struck.values().sum();
        let counts = [
            (struck, "faults"),
            (faults.branches, "branches"),
            (faults.rollbacks, "rollbacks"),
            (faults.lost_with_branch, "writes lost with a branch"),
        ];
        for (count, what) in counts {
            let _ = write!(text, ", {} {what}", units::count(count));
        }
    }
    text
}
