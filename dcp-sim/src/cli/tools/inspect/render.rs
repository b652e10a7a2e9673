//! Picture of a file for a terminal: its figures, bars of its bytes by use, and a map of their
//! places.
//!
//! Letters and lengths carry all information; colours repeat it.

use std::fmt::Write;

use lowtide_persistence::couchstore::{Cell, Use};

use super::figures::{HeaderFigures, Inspected};
use super::table;
use crate::report::units;

const BAR_MARKS: u64 = 30;
const MAP_MARKS: usize = 64;

/// Letter and colour of each use.
const MARKS: [(Use, char, &str); 5] = [
    (Use::Body, 'B', "\x1b[32m"),
    (Use::ById, 'I', "\x1b[36m"),
    (Use::BySeqno, 'S', "\x1b[34m"),
    (Use::Local, 'L', "\x1b[35m"),
    (Use::Header, 'H', "\x1b[33m"),
];
const DEAD: (char, &str) = ('.', "\x1b[2m");
pub(super) const PLAIN: &str = "\x1b[0m";
pub(super) const BOLD: &str = "\x1b[1m";

// Writing to a string never fails, here and below.
pub(super) fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<12} {value}");
}

/// Returns several paragraphs.
pub(super) fn of_file(file: &Inspected) -> String {
    let mut text = String::new();
    line(
        &mut text,
        "file",
        &format!("{BOLD}{}{PLAIN}", file.target.path),
    );
    if let (Some(vb), Some(revision)) = (file.target.vb, file.target.revision) {
        line(&mut text, "vBucket", &format!("{vb}, revision {revision}"));
    }
    if let Some(newest) = file.headers.first() {
        header(&mut text, newest);
    }
    if let Some(state) = &file.state {
        let start = state.snapshot_start;
        let end = state.snapshot_end;
        let kind = state.snapshot_type;
        line(
            &mut text,
            "state",
            &format!("{}, snapshot {start} to {end} from {kind}", state.state),
        );
        let branches = state
            .failover_log
            .iter()
            .map(|(uuid, seqno)| format!("{uuid:#x} from {seqno}"));
        line(
            &mut text,
            "branches",
            &branches.collect::<Vec<_>>().join(", "),
        );
    }
    for damage in &file.damage {
        line(&mut text, "UNREADABLE", damage);
    }
    text.push('\n');
    bars(&mut text, file);
    text.push('\n');
    trees(&mut text, file);
    text.push('\n');
    map(&mut text, file);
    text.push('\n');
    text.push_str(&table::of_headers(&file.headers));
    if file.headers_left_out > 0 {
        let older = units::things(file.headers_left_out, "older header", "older headers");
        let _ = writeln!(text, "and {older}");
    }
    text
}

fn header(text: &mut String, newest: &HeaderFigures) {
    line(text, "version", &newest.version.to_string());
    line(
        text,
        "high seqno",
        &format!("{}, purge seqno {}", newest.high_seqno, newest.purge_seqno),
    );
    let tombstones = units::things(newest.tombstones, "tombstone", "tombstones");
    line(
        text,
        "documents",
        &format!("{}, {tombstones}", units::count(newest.documents)),
    );
    line(text, "committed", &table::committed(newest.timestamp));
}

fn bars(text: &mut String, file: &Inspected) {
    let bytes = units::bytes(file.file_bytes);
    let dead = units::percent(file.dead_bytes, file.file_bytes);
    let word = if file.damage.is_empty() {
        "dead"
    } else {
        "dead or unreadable"
    };
    line(text, "bytes", &format!("{bytes}, of which {dead} {word}"));
    let total = file.layout.total();
    for (of, _, colour) in MARKS {
        bar(text, of.name(), colour, total.live(of), file.file_bytes);
    }
    bar(text, "dead", DEAD.1, file.dead_bytes, file.file_bytes);
}

pub(super) fn bar(text: &mut String, name: &str, colour: &str, part: u64, whole: u64) {
    // A part that is not empty has at least one mark.
    let marks = (part * BAR_MARKS).div_ceil(whole.max(1)).min(BAR_MARKS) as usize;
    let full = "█".repeat(marks);
    let rest = "░".repeat(BAR_MARKS as usize - marks);
    let bytes = units::bytes(part);
    let share = units::percent(part, whole);
    let _ = writeln!(
        text,
        "  {name:<10} {colour}{full}{PLAIN}{rest} {bytes:>10} {share:>8}"
    );
}

fn trees(text: &mut String, file: &Inspected) {
    let rows = [
        ("by-seqno", file.by_seqno),
        ("by-id", file.by_id),
        ("local", file.local),
    ];
    text.push_str(&table::of_trees(&rows));
}

fn map(text: &mut String, file: &Inspected) {
    let Some(first) = file.layout.cells.first() else {
        return;
    };
    let legend = MARKS.map(|(of, letter, colour)| format!("{colour}{letter}{PLAIN} {}", of.name()));
    let _ = writeln!(
        text,
        "map          a mark is {}, lower case if less than half is live",
        units::bytes(first.bytes)
    );
    let _ = writeln!(text, "  {}, {} dead", legend.join(", "), DEAD.0);
    for (row, cells) in file.layout.cells.chunks(MAP_MARKS).enumerate() {
        let offset = row as u64 * MAP_MARKS as u64 * first.bytes;
        let _ = write!(text, "  {offset:>12} ");
        let mut last = "";
        for cell in cells {
            let (letter, colour) = mark(cell);
            if colour != last {
                let _ = write!(text, "{PLAIN}{colour}");
                last = colour;
            }
            text.push(letter);
        }
        let _ = writeln!(text, "{PLAIN}");
    }
}

/// Returns the use of most of a cell's live bytes.
fn mark(cell: &Cell) -> (char, &'static str) {
    let largest = MARKS
        .into_iter()
        .rev()
        .max_by_key(|&(of, ..)| cell.live(of));
    match largest {
        Some((of, letter, colour)) if cell.live(of) > 0 => {
            let is_mostly_live = cell.live_bytes() * 2 >= cell.bytes;
            (
                if is_mostly_live {
                    letter
                } else {
                    letter.to_ascii_lowercase()
                },
                colour,
            )
        }
        _ => DEAD,
    }
}
