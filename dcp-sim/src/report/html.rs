//! HTML page of one run, in a single file.
//!
//! uPlot (MIT) draws the charts; it lies next to this file with its licence.
//!
//! # Invariants
//!
//! - The page needs no network.
//! - Names of sources and violations are escaped.
//! - Equal runs give equal bytes, since no wall-clock time is in the page.

use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::units;
use crate::sim::{InvariantVerdict, Report, Timeline};

const CHARTS: &str = include_str!("assets/uPlot.iife.min.js");
const CHARTS_STYLE: &str = include_str!("assets/uPlot.min.css");
const SCRIPT: &str = include_str!("assets/report.js");
const STYLE: &str = include_str!("assets/report.css");

/// Content of a page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Command that repeats this run.
    pub command: &'a str,
    /// Figures and verdicts.
    pub report: &'a Report,
    /// Timeline of the run.
    pub timeline: &'a Timeline,
    /// Marks of a node's checkpoint memory by name, drawn as lines.
    pub memory_marks_bytes: &'a [(&'static str, u64)],
}

#[derive(Serialize)]
struct Data<'a> {
    timeline: &'a Timeline,
    marks: &'a [(&'static str, u64)],
}

/// Returns the page.
///
/// # Errors
/// If its figures cannot be serialized.
pub fn page(page: &Page<'_>) -> io::Result<String> {
    let report = page.report;
    let data = data(page)?;
    let word = if report.is_clean() {
        "every copy is right"
    } else {
        "violations found"
    };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "dcp-sim: seed " (report.seed) ", " (word) }
                style { (PreEscaped(CHARTS_STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "dcp-sim run" }
                    p.verdict.broken[!report.is_clean()] { (word) }
                }
                p { (report.source) }
                @if let Some(shape) = &report.shape { p { "Drew: " (shape.describe()) } }
                pre.command { code { (page.command) } }
                (cards(report))
                h2 { "Invariants" }
                (verdicts(&report.verdicts))
                h2 { "Over virtual time" }
                p.hint { "Drag to zoom into a time span, double-click to zoom out. All charts share one time axis." }
                noscript { p { "The charts are drawn by a script that is in this file; scripts are switched off." } }
                div #charts {}
                h2 { "Nodes" }
                (nodes(report))
                script type="application/json" id="data" { (PreEscaped(data)) }
                script { (PreEscaped(CHARTS)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(markup.into_string())
}

/// Returns JSON that cannot end its enclosing element.
fn data(page: &Page<'_>) -> io::Result<String> {
    let data = Data {
        timeline: page.timeline,
        marks: page.memory_marks_bytes,
    };
    Ok(serde_json::to_string(&data)?.replace('<', "\\u003c"))
}

fn cards(report: &Report) -> Markup {
    let figures = &report.figures;
    let cards = [
        ("seed", report.seed.to_string()),
        (
            "cluster",
            format!("{} nodes, {} replicas", report.nodes, report.replicas),
        ),
        ("vBuckets", report.vbuckets.to_string()),
        ("mutations", units::count(figures.mutations)),
        ("documents", units::count(figures.documents)),
        ("virtual time", units::micros(figures.virtual_micros)),
        ("events", units::count(figures.events)),
        (
            "checkpoints at most",
            units::bytes(figures.checkpoint_bytes_max as u64),
        ),
        (
            "furthest behind",
            format!("{} seqnos", units::count(figures.lag_seqnos_max)),
        ),
        ("network", units::bytes(figures.network_bytes)),
    ];
    html! {
        dl.cards {
            @for (name, value) in &cards {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

fn verdicts(verdicts: &[InvariantVerdict]) -> Markup {
    html! {
        table.verdicts {
            thead { tr { th { "" } th { "invariant" } th.number { "checked" } th { "verdict" } } }
            tbody {
                @for verdict in verdicts {
                    tr.broken[!verdict.holds()] {
                        td { (verdict.invariant) }
                        td {
                            (verdict.what)
                            @if !verdict.told.is_empty() {
                                ul { @for violation in &verdict.told { li { (violation) } } }
                            }
                        }
                        td.number { (units::count(verdict.checked)) }
                        td {
                            @if verdict.holds() { "holds" } @else { "broken (" (units::count(verdict.violations)) ")" }
                        }
                    }
                }
            }
        }
    }
}

fn nodes(report: &Report) -> Markup {
    let titles = [
        "node",
        "queued",
        "deduplicated",
        "expelled",
        "removed",
        "flushes",
        "persisted",
        "syncs",
        "written",
        "store",
        "documents",
    ];
    html! {
        table {
            thead { tr { @for title in titles { th.number { (title) } } } }
            tbody {
                @for (number, node) in report.per_node.iter().enumerate() {
                    tr {
                        @for cell in [
                            number.to_string(), units::count(node.queued), units::count(node.deduplicated),
                            units::count(node.expelled), units::count(node.removed), units::count(node.flushes),
                            units::count(node.persisted), units::count(node.disk_syncs),
                            units::bytes(node.disk_written_bytes), units::bytes(node.store_bytes),
                            units::count(node.store_documents),
                        ] { td.number { (cell) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Figures, NodeFigures, Sample, Span};

    fn report(source: &str) -> Report {
        let mut broken = InvariantVerdict::new("W3", "copies are equal");
        broken.check(Some("key <b>&\"x\" differs".to_owned()));
        Report {
            source: source.to_owned(),
            seed: 7,
            nodes: 1,
            replicas: 0,
            vbuckets: 4,
            shape: None,
            figures: Figures::default(),
            per_node: vec![NodeFigures::default()],
            verdicts: vec![broken],
            faults: None,
            timeline: None,
        }
    }

    fn made(source: &str) -> String {
        let mut timeline = Timeline::default();
        timeline.record(Sample {
            micros: 5,
            nodes: vec![Default::default()],
            lags: [("0→1".to_owned(), 3)].into(),
        });
        timeline.span(Span {
            kind: "crash",
            from_micros: 1,
            to_micros: 2,
            what: "</script><script>alert(1)".to_owned(),
        });
        let report = report(source);
        page(&Page {
            command: "dcp-sim run --seed 7",
            report: &report,
            timeline: &timeline,
            memory_marks_bytes: &[("quota", 64)],
        })
        .expect("numbers and texts")
    }

    #[test]
    fn texts_of_the_run_are_escaped() {
        let page = made("<img src=x onerror=alert(1)>");
        assert!(!page.contains("<img") && page.contains("&lt;img src=x"));
        assert!(!page.contains("<b>&") && page.contains("key &lt;b&gt;&amp;&quot;x&quot; differs"));
        assert!(
            page.contains("\\u003c/script>\\u003cscript>alert(1)"),
            "inside the data"
        );
        assert_eq!(page.matches("<script").count(), 3, "data, library, our own");
        assert_eq!(page.matches("</script>").count(), 3);
    }

    #[test]
    fn page_needs_no_network() {
        let page = made("x");
        for asks in [
            "src=",
            "<link",
            "@import",
            "url(",
            "fetch(",
            "XMLHttpRequest",
        ] {
            assert!(!page.contains(asks), "{asks}");
        }
        assert_eq!(page, made("x"), "and is the same each time");
    }
}
