//! Summary of a run for people: its source, its figures, and its verdicts.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::times::Times;
use super::units;
use crate::sim::{FaultFigures, InvariantVerdict, NodeFigures, Report};

/// Returns several lines, the verdicts last.
#[must_use]
pub fn summary(report: &Report, times: &Times) -> String {
    let mut text = String::new();
    let figures = &report.figures;
    let cluster = format!(
        "{} nodes, {} replicas, {} vBuckets, seed {}",
        report.nodes, report.replicas, report.vbuckets, report.seed
    );
    let writes = format!(
        "{} ({} sets, {} deletes) in {} batches",
        units::count(figures.mutations),
        units::count(figures.sets),
        units::count(figures.deletes),
        units::count(figures.batches)
    );
    let documents = format!(
        "{}, {}",
        units::count(figures.documents),
        units::bytes(figures.document_bytes)
    );
    let memory = format!(
        "{} at most on a node",
        units::bytes(figures.checkpoint_bytes_max as u64)
    );
    let took = format!(
        "{} simulated, {:.2} s here ({} mutations/s)",
        units::micros(figures.virtual_micros),
        times.seconds,
        units::count(times.mutations_per_second as u64)
    );
    for (name, value) in [
        ("source", &report.source),
        ("cluster", &cluster),
        ("mutations", &writes),
        ("documents", &documents),
        ("checkpoints", &memory),
        ("time", &took),
    ] {
        line(&mut text, name, value);
    }
    if let Some(shape) = &report.shape {
        line(&mut text, "drew", &shape.describe());
    }
    if let Some(faults) = &report.faults {
        put_faults(&mut text, faults);
    }
    text.push('\n');
    text.push_str(&nodes(report));
    text.push('\n');
    for verdict in &report.verdicts {
        put_verdict(&mut text, verdict);
    }
    let word = if report.is_clean() {
        "every copy is right"
    } else {
        "VIOLATIONS FOUND"
    };
    line(&mut text, "\nverdict", word);
    text
}

fn put_faults(text: &mut String, faults: &FaultFigures) {
    let struck = faults
        .struck
        .iter()
        .map(|(kind, times)| format!("{kind} {}", units::count(*times)));
    let struck = struck.collect::<Vec<_>>().join(", ");
    let answers = format!(
        "{} acknowledged, {} unknown, {} refused, {} lost with a branch",
        units::count(faults.acknowledged),
        units::count(faults.unknown),
        units::count(faults.refused),
        units::count(faults.lost_with_branch)
    );
    let reads = format!(
        "{} on replicas, {} refused",
        units::count(faults.reads),
        units::count(faults.reads_refused)
    );
    let cluster = format!(
        "{} branches, {} rollbacks, {} connections, {} streams ended as too slow, {} engine failures",
        units::count(faults.branches),
        units::count(faults.rollbacks),
        units::count(faults.connections),
        units::count(faults.slow_streams),
        units::count(faults.engine_failures)
    );
    let clients = format!(
        "{} foreign: {} streams, {} items, {} connections lost, {} rollbacks, {} of them to the beginning",
        units::count(faults.clients.clients),
        units::count(faults.clients.streams),
        units::count(faults.clients.items),
        units::count(faults.clients.connections_lost),
        units::count(faults.clients.rollbacks),
        units::count(faults.clients.started_over)
    );
    let settled = format!(
        "{} after the last fault",
        units::micros(faults.settling_micros)
    );
    for (name, value) in [
        ("faults", &struck),
        ("answers", &answers),
        ("reads", &reads),
        ("clients", &clients),
        ("survived", &cluster),
        ("at rest", &settled),
    ] {
        line(text, name, value);
    }
}

// Writing to a string never fails.
fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<12} {value}");
}

/// Formats the figures of every node, within the width of a terminal, as two tables.
fn nodes(report: &Report) -> String {
    let number = |pick: fn(&NodeFigures) -> u64| {
        report
            .per_node
            .iter()
            .map(|node| units::count(pick(node)))
            .collect::<Vec<_>>()
    };
    let bytes = |pick: fn(&NodeFigures) -> u64| {
        report
            .per_node
            .iter()
            .map(|node| units::bytes(pick(node)))
            .collect::<Vec<_>>()
    };
    let columns = [
        ("queued", number(|node| node.queued)),
        ("deduplicated", number(|node| node.deduplicated)),
        ("expelled", number(|node| node.expelled)),
        ("removed", number(|node| node.removed)),
        ("flushes", number(|node| node.flushes)),
        ("persisted", number(|node| node.persisted)),
        ("syncs", number(|node| node.disk_syncs)),
        ("written", bytes(|node| node.disk_written_bytes)),
        ("store", bytes(|node| node.store_bytes)),
        ("documents", number(|node| node.store_documents)),
    ];
    let (memory, disk) = columns.split_at(4);
    format!("{}\n{}", table(memory), table(disk))
}

fn table(columns: &[(&str, Vec<String>)]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(
        ["node"]
            .into_iter()
            .chain(columns.iter().map(|(title, _)| *title)),
    );
    let rows = columns.iter().map(|(_, cells)| cells.len()).max();
    for row in 0..rows.unwrap_or(0) {
        // A shorter column ends with empty cells.
        let cells = columns
            .iter()
            .map(|(_, cells)| cells.get(row).cloned().unwrap_or_default());
        table.add_row([row.to_string()].into_iter().chain(cells));
    }
    for column in table.column_iter_mut() {
        column
            .set_padding((1, 0))
            .set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn put_verdict(text: &mut String, verdict: &InvariantVerdict) {
    let word = if verdict.holds() { "holds" } else { "BROKEN" };
    let checked = units::count(verdict.checked);
    let _ = writeln!(
        text,
        "{} {word:<6} {} ({checked} checked)",
        verdict.invariant, verdict.what
    );
    for violation in &verdict.told {
        let _ = writeln!(text, "          {violation}");
    }
    let omitted = verdict.violations.saturating_sub(verdict.told.len() as u64);
    if omitted > 0 {
        let _ = writeln!(text, "          and {} more", units::count(omitted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Figures;

    #[test]
    fn node_tables_fit_a_terminal_of_80_columns() {
        let many = NodeFigures {
            queued: 1_000_000_000,
            deduplicated: 1_000_000_000,
            expelled: 1_000_000_000,
            removed: 1_000_000_000,
            flushes: 10_000_000,
            persisted: 1_000_000_000,
            disk_syncs: 10_000_000,
            disk_written_bytes: 999 << 30,
            store_documents: 1_000_000_000,
            store_bytes: 999 << 30,
        };
        let report = Report {
            source: String::new(),
            shape: None,
            seed: 1,
            nodes: 100,
            replicas: 2,
            vbuckets: 1_024,
            figures: Figures::default(),
            per_node: vec![many; 100],
            verdicts: Vec::new(),
            faults: None,
            timeline: None,
        };
        let text = nodes(&report);
        assert_eq!(
            text.lines()
                .filter(|line| line.trim_start().starts_with("99 "))
                .count(),
            2,
            "{text}"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let titles = ["queued", "deduplicated", "expelled", "removed", "flushes"];
        let more = ["persisted", "syncs", "written", "store", "documents"];
        assert!(
            titles
                .iter()
                .chain(&more)
                .all(|title| text.matches(title).count() == 1),
            "{text}"
        );
    }
}
