//! Picture of a log store for a terminal: its bytes by use, the fill of its segments, and a map
//! with a mark for each.
//!
//! Letters and lengths carry all information; colours repeat it.

use std::fmt::Write;

use lowtide_persistence::logstor::{ImageLayout, LogLayout, SegmentKind, SegmentLayout};

use super::log_figures::{LogDocument, VBucketFigures};
use super::render::{BOLD, PLAIN, bar, line};
use super::table;
use crate::report::units;

const MAP_MARKS: usize = 64;
const BAR_MARKS: u64 = 30;

/// Letter, colour and meaning.
const MARKS: [(char, &str, &str); 4] = [
    ('C', "\x1b[32m", "commits of one vBucket"),
    ('X', "\x1b[33m", "of several"),
    ('M', "\x1b[36m", "moved"),
    ('L', "\x1b[35m", "large record"),
];
const DEAD: (char, &str) = ('-', "\x1b[31m");
const FREE: (char, &str) = ('.', "\x1b[2m");
const DAMAGED: (char, &str) = ('!', "\x1b[1;31m");

// Writing to a string never fails, here and below.

/// Returns several paragraphs, with at most `segments_max` segments.
pub(super) fn of_store(store: &LogDocument, layout: &LogLayout, segments_max: usize) -> String {
    let mut text = String::new();
    line(&mut text, "store", &format!("{BOLD}{}{PLAIN}", store.path));
    let segment_bytes = units::bytes(layout.segment_bytes.into());
    let files = units::things(layout.files, "log file", "log files");
    let of = units::things(layout.segments_per_file.into(), "segment", "segments");
    line(
        &mut text,
        "log",
        &format!("{files} of {of} of {segment_bytes}"),
    );
    let last = layout.last_append;
    let settled = layout.settled_append;
    line(
        &mut text,
        "appends",
        &format!("{last}, settled up to {settled} when the last was written"),
    );
    if layout.images.is_empty() {
        line(
            &mut text,
            "image",
            "none: opening reads all segments in use",
        );
    }
    layout
        .images
        .iter()
        .for_each(|of| line(&mut text, "image", &image(of)));
    match &store.refusal {
        Some(why) => line(&mut text, "opening", &format!("fails: {why}")),
        None if store.repairs.is_empty() => line(&mut text, "opening", "repairs nothing"),
        None => store
            .repairs
            .iter()
            .for_each(|what| line(&mut text, "opening", &format!("repairs {what}"))),
    }
    for finding in &store.lines {
        line(&mut text, "found", finding);
    }
    text.push('\n');
    bars(&mut text, store);
    text.push('\n');
    shares(&mut text, &layout.segments);
    text.push('\n');
    map(&mut text, layout);
    text.push('\n');
    text.push_str(&vbuckets(&store.vbuckets));
    if segments_max > 0 {
        text.push('\n');
        text.push_str(&segments(&layout.segments, segments_max));
    }
    text
}

fn image(image: &ImageLayout) -> String {
    let name = image.path.file_name().unwrap_or_default().display();
    let bytes = units::bytes(image.bytes);
    let Some(last) = image.last_append else {
        return format!("{name}, {bytes}: can't be used");
    };
    let keys = units::things(image.keys, "key", "keys");
    let current = image.segments_current;
    let segments = units::things(image.segments, "segment", "segments");
    format!(
        "{name}, {bytes}: up to append {last}, {keys}; {current} of its {segments} still in use"
    )
}

fn bars(text: &mut String, store: &LogDocument) {
    let whole = store.file_bytes;
    line(text, "bytes", &units::bytes(whole));
    for (name, colour, part) in [
        ("live", MARKS[0].1, store.live_bytes),
        ("dead", DEAD.1, store.dead_bytes),
        ("free", FREE.1, store.free_bytes),
    ] {
        bar(text, name, colour, part, whole);
    }
}

/// Writes a histogram of the segments in use by their share of live data.
fn shares(text: &mut String, segments: &[SegmentLayout]) {
    let used: Vec<_> = segments
        .iter()
        .filter(|segment| segment.kind.is_used())
        .collect();
    let count = used.len() as u64;
    line(
        text,
        "segments",
        &format!("{} in use, by share of live data", units::count(count)),
    );
    for (from, to) in [(0, 0), (1, 24), (25, 49), (50, 74), (75, 100)] {
        let is_in = |segment: &&&SegmentLayout| (from..=to).contains(&live_percent(segment));
        let number = used.iter().filter(is_in).count() as u64;
        let marks = (number * BAR_MARKS).div_ceil(count.max(1)) as usize;
        let name = if to == 0 {
            "nothing".to_owned()
        } else {
            format!("{from}-{to} %")
        };
        let _ = writeln!(
            text,
            "  {name:<10} {:<30} {}",
            "█".repeat(marks),
            units::count(number)
        );
    }
}

/// Returns the share of live data; at least one percent if there is any.
fn live_percent(segment: &SegmentLayout) -> u64 {
    (segment.live_bytes * 100)
        .div_ceil(u64::from(segment.used_bytes).max(1))
        .min(100)
}

fn map(text: &mut String, layout: &LogLayout) {
    let bytes = units::bytes(layout.segment_bytes.into());
    let _ = writeln!(
        text,
        "map          a mark is a segment of {bytes}, lower case if less than half is live"
    );
    let legend = MARKS.map(|(letter, colour, name)| format!("{colour}{letter}{PLAIN} {name}"));
    let _ = writeln!(
        text,
        "  {}, {} all dead, {} free, {} damaged",
        legend.join(", "),
        DEAD.0,
        FREE.0,
        DAMAGED.0
    );
    for row in layout.segments.chunks(MAP_MARKS) {
        let first = row.first().map_or(0, |segment| segment.id);
        let _ = write!(text, "  {first:>8} ");
        let mut last = "";
        for segment in row {
            let (letter, colour) = mark(segment);
            if colour != last {
                let _ = write!(text, "{PLAIN}{colour}");
                last = colour;
            }
            text.push(letter);
        }
        let generations = || row.iter().filter_map(|segment| segment.generation);
        let uses = match (generations().min(), generations().max()) {
            (Some(oldest), Some(newest)) => format!("  generations {oldest} to {newest}"),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "{PLAIN}{:pad$}{uses}",
            "",
            pad = MAP_MARKS - row.len()
        );
    }
}

fn mark(segment: &SegmentLayout) -> (char, &'static str) {
    if segment.damaged {
        return DAMAGED;
    }
    let [one, several, moved, large] = MARKS.map(|(letter, colour, _)| (letter, colour));
    let (letter, colour) = match segment.kind {
        SegmentKind::Unused | SegmentKind::Free => return FREE,
        _ if segment.live_records == 0 => return DEAD,
        SegmentKind::Commits if segment.owners.len() > 1 => several,
        SegmentKind::Commits => one,
        SegmentKind::Moved => moved,
        SegmentKind::Large => large,
    };
    (
        if live_percent(segment) >= 50 {
            letter
        } else {
            letter.to_ascii_lowercase()
        },
        colour,
    )
}

fn vbuckets(vbuckets: &[VBucketFigures]) -> String {
    let header = [
        "vBucket",
        "state",
        "high",
        "purge",
        "documents",
        "tombstones",
        "live",
        "stale",
        "epochs",
    ];
    let mut table = table::table(&header);
    for vb in vbuckets {
        let epochs = vb.epochs.iter().map(|(epoch, cap)| match cap {
            Some(cap) => format!("{epoch} up to {cap}"),
            None => epoch.to_string(),
        });
        table.add_row([
            vb.vb.to_string(),
            vb.state
                .as_ref()
                .map_or("none", |state| state.state)
                .to_owned(),
            vb.high_seqno.to_string(),
            vb.purge_seqno.to_string(),
            units::count(vb.documents),
            units::count(vb.tombstones),
            units::bytes(vb.live_bytes),
            units::count(vb.stale_records),
            epochs.collect::<Vec<_>>().join(", "),
        ]);
    }
    table::text(&table)
}

/// Lists the segments with the least live data first.
fn segments(segments: &[SegmentLayout], most: usize) -> String {
    let mut used: Vec<_> = segments
        .iter()
        .filter(|segment| segment.kind.is_used())
        .collect();
    used.sort_by_key(|segment| (live_percent(segment), segment.id));
    let left_out = used.len().saturating_sub(most) as u64;
    let header = [
        "segment",
        "kind",
        "owner",
        "generation",
        "frames",
        "records",
        "used",
        "live",
        "",
    ];
    let mut table = table::table(&header);
    for segment in used.into_iter().take(most) {
        let owner = match segment.owners.as_slice() {
            [] => "none".to_owned(),
            [one] => one.to_string(),
            several => format!("{} vBuckets", several.len()),
        };
        table.add_row([
            segment.id.to_string(),
            segment.kind.name().to_owned(),
            owner,
            segment
                .generation
                .map_or(String::new(), |generation| generation.to_string()),
            units::count(segment.frames),
            units::count(segment.records),
            units::bytes(segment.used_bytes.into()),
            units::bytes(segment.live_bytes),
            format!("{} %", live_percent(segment)),
        ]);
    }
    let mut text = table::text(&table);
    if left_out > 0 {
        let _ = writeln!(text, "and {} more", units::count(left_out));
    }
    text
}
