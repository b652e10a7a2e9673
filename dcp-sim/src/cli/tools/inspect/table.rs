//! Tables: a store's files, a file's trees and headers.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::figures::{HeaderFigures, Inspected, TreeFigures};
use crate::report::units;

const BAR_MARKS: u64 = 12;

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    // Lines between rows would double the output for a store of a thousand vBuckets.
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    table
        .load_style(style)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Returns the table as text, without spaces at the ends of its lines.
pub(super) fn text(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// Formats a line for each file, and their sum.
pub(super) fn of_store(files: &[Inspected]) -> String {
    let mut table = table(&[
        "vBucket",
        "revision",
        "state",
        "high",
        "documents",
        "tombstones",
        "bytes",
        "live",
        "",
    ]);
    let mut documents = 0;
    let mut bytes = 0;
    let mut live = 0;
    for file in files {
        // The newest header is always listed.
        let Some(newest) = file.headers.first() else {
            continue;
        };
        documents += newest.documents;
        bytes += file.file_bytes;
        live += file.live_bytes;
        let damaged = if file.damage.is_empty() {
            ""
        } else {
            " UNREADABLE"
        };
        table.add_row([
            file.target.vb.map_or(String::new(), |vb| vb.to_string()),
            file.target
                .revision
                .map_or(String::new(), |revision| revision.to_string()),
            file.state
                .as_ref()
                .map_or("none", |state| state.state)
                .to_owned()
                + damaged,
            newest.high_seqno.to_string(),
            units::count(newest.documents),
            units::count(newest.tombstones),
            units::bytes(file.file_bytes),
            units::percent(file.live_bytes, file.file_bytes),
            bar(file.live_bytes, file.file_bytes),
        ]);
    }
    let mut text = text(&table);
    // Writing to a string never fails.
    let _ = writeln!(
        text,
        "{}, {}, {}, of which {} live",
        units::things(files.len() as u64, "vBucket", "vBuckets"),
        units::things(documents, "document", "documents"),
        units::bytes(bytes),
        units::percent(live, bytes)
    );
    text
}

fn bar(part: u64, whole: u64) -> String {
    let marks = (part * BAR_MARKS).div_ceil(whole.max(1)).min(BAR_MARKS) as usize;
    "█".repeat(marks) + &"░".repeat(BAR_MARKS as usize - marks)
}

/// Formats a line for each tree.
pub(super) fn of_trees(trees: &[(&str, TreeFigures)]) -> String {
    let mut table = table(&[
        "tree", "depth", "interior", "leaves", "rows", "on disk", "unpacked", "fill",
    ]);
    for (name, tree) in trees {
        table.add_row([
            (*name).to_owned(),
            tree.depth.to_string(),
            units::count(tree.interior_nodes),
            units::count(tree.leaves),
            units::count(tree.rows),
            units::bytes(tree.disk_bytes),
            units::bytes(tree.raw_bytes),
            format!("{:.0} %", tree.fill * 100.0),
        ]);
    }
    text(&table)
}

/// Formats a line for each header, newest first.
pub(super) fn of_headers(headers: &[HeaderFigures]) -> String {
    let mut table = table(&[
        "header at",
        "from",
        "high",
        "purge",
        "documents",
        "tombstones",
        "live",
        "committed",
    ]);
    for header in headers {
        table.add_row([
            header.position.to_string(),
            header
                .previous
                .map_or("none".to_owned(), |previous| previous.to_string()),
            header.high_seqno.to_string(),
            header.purge_seqno.to_string(),
            units::count(header.documents),
            units::count(header.tombstones),
            units::bytes(header.live_bytes),
            committed(header.timestamp),
        ]);
    }
    text(&table)
}

/// Formats the time of a commit, if the version has it.
pub(super) fn committed(timestamp: u64) -> String {
    if timestamp == 0 {
        "time unknown".to_owned()
    } else {
        units::utc(timestamp)
    }
}
