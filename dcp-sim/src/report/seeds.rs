//! What is told of one seed among many: a line for people, or one JSON object.
//!
//! Nothing in either depends on the machine, so that they can be compared byte by byte (W17).

use std::fmt::Write;

use serde::Serialize;

use super::json::SCHEMA;
use super::units;
use crate::sim::{Report, Shape};

/// How one seed ended.
#[derive(Clone, Copy, Debug)]
pub struct SeedResult<'a> {
    /// Which.
    pub seed: u64,
    /// Its report, if it came to its end.
    pub report: Option<&'a Report>,
    /// What it drew, where shapes are drawn.
    pub shape: Option<&'a Shape>,
    /// What is broken.
    pub why: Option<&'a str>,
    /// The command that replays it.
    pub command: &'a str,
}

/// One line; of a seed that is broken more, with the command that replays it.
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
    // Writing to a string can't fail.
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

/// What is known of a seed that has no report.
#[derive(Serialize)]
struct Instead<'a> {
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'a Shape>,
}

/// One line. It has the fields of a single run's object but for `times`, and `broken` and `replay`.
#[must_use]
pub fn seed_json(result: &SeedResult<'_>) -> String {
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
    // Names, numbers and texts only: nothing in it can fail to be JSON.
    serde_json::to_string(&document).unwrap_or_default()
}

/// A run's figures in a line.
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
