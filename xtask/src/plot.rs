//! The plot of `docs/performance.md`, drawn from the table of `docs/performance/summary.md`.
//!
//! A row has our figure, the best peer's, and whether more or less is better. The plot shows how many
//! times better or worse ours is, on a logarithmic axis. The picture is checked in, so that readers of
//! the page need no build. A test compares it with the table.
//!
//! # Invariants
//! - The same table gives the same bytes.
//! - Every figure of the table stands in a raw table of the same folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::step::Failure;

const FOLDER: &str = "docs/performance";
const TABLE: &str = "summary.md";
const PLOT: &str = "summary.svg";

/// The plot's ends, as ratios.
const AXIS: [f64; 2] = [0.05, 100.0];
const TICKS: [(f64, &str); 10] = [
    (0.1, "1/10"),
    (0.2, "1/5"),
    (0.5, "1/2"),
    (1.0, "same"),
    (2.0, "2"),
    (5.0, "5"),
    (10.0, "10"),
    (20.0, "20"),
    (50.0, "50"),
    (100.0, "100"),
];

/// Width of the picture, and the horizontal ends of the bars, in pixels.
const WIDTH: f64 = 980.0;
const BARS: [f64; 2] = [360.0, 740.0];
const ROW: f64 = 18.0;
const TOP: f64 = 52.0;

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    group: String,
    what: String,
    ours: String,
    /// Name and figure.
    peer: String,
    /// How many times better ours is; below 1 it is worse.
    advantage: f64,
}

/// Draws the plot again.
///
/// # Errors
/// If the table cannot be read or understood, or the plot not be written.
pub(crate) fn write(root: &Path) -> Result<(), Failure> {
    let plot = draw(&rows(&read(root, TABLE)?)?);
    let path = format!("{FOLDER}/{PLOT}");
    fs::write(root.join(&path), plot).map_err(|error| Failure::new(&format!("{path}: {error}")))?;
    println!("{path}");
    Ok(())
}

fn read(root: &Path, name: &str) -> Result<String, Failure> {
    let path = format!("{FOLDER}/{name}");
    fs::read_to_string(root.join(&path)).map_err(|error| Failure::new(&format!("{path}: {error}")))
}

/// Reads the rows of the page's table.
fn rows(page: &str) -> Result<Vec<Row>, Failure> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    lines.skip(1).map(row).collect()
}

fn row(line: &str) -> Result<Row, Failure> {
    let wrong = |what: &str| Failure::new(&format!("{FOLDER}/{TABLE}: {what}: {line}"));
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let &[group, what, ours, peer, better] = &cells[..] else {
        return Err(wrong("a row has five cells"));
    };
    let (_, theirs) = peer
        .split_once(' ')
        .ok_or_else(|| wrong("the peer has a name and a figure"))?;
    let our_number = number(ours).ok_or_else(|| wrong("ours is no figure"))?;
    let their_number = number(theirs).ok_or_else(|| wrong("the peer's is no figure"))?;
    let advantage = match better {
        "more" => our_number / their_number,
        "less" => their_number / our_number,
        _ => return Err(wrong("better is \"more\" or \"less\"")),
    };
    if !(AXIS[0]..=AXIS[1]).contains(&advantage) {
        return Err(wrong("the ratio is beyond the axis"));
    }
    Ok(Row {
        group: group.to_owned(),
        what: what.to_owned(),
        ours: ours.to_owned(),
        peer: peer.to_owned(),
        advantage,
    })
}

/// Reads `3.49M`, `144k` or `5.9`, with or without a unit behind it. Both figures of a row have the
/// same unit.
fn number(figure: &str) -> Option<f64> {
    let digits = figure.split(' ').next()?;
    let (digits, factor) = match digits.strip_suffix('M') {
        Some(millions) => (millions, 1e6),
        None => match digits.strip_suffix('k') {
            Some(thousands) => (thousands, 1e3),
            None => (digits, 1.0),
        },
    };
    let value: f64 = digits.parse().ok()?;
    (value > 0.0).then_some(value * factor)
}

/// The horizontal place of a ratio.
fn place(ratio: f64) -> f64 {
    let share = (ratio / AXIS[0]).ln() / (AXIS[1] / AXIS[0]).ln();
    BARS[0] + share * (BARS[1] - BARS[0])
}

/// A ratio in words: `2.4 times better`.
fn words(advantage: f64) -> String {
    let (factor, word) = if advantage < 1.0 {
        (1.0 / advantage, "worse")
    } else {
        (advantage, "better")
    };
    if factor < 9.95 {
        format!("{factor:.1} times {word}")
    } else {
        format!("{factor:.0} times {word}")
    }
}

fn text(plot: &mut String, [x, y]: [f64; 2], class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        plot,
        r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{text}</text>"#
    );
}

fn draw(rows: &[Row]) -> String {
    let groups = rows.chunk_by(|row, next| row.group == next.group);
    let height = TOP + ROW * (rows.len() + 2 * groups.clone().count()) as f64;
    let mut plot = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">
<style>.name,.figures{{fill:#333}}.name{{text-anchor:end}}.tick{{fill:#666;text-anchor:middle}}.group{{font-weight:bold;fill:#111}}.better{{fill:#0072b2}}.worse{{fill:#d55e00}}.line{{stroke:#ddd}}.same{{stroke:#666}}</style>
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
"##
    );
    let middle = f64::midpoint(BARS[0], BARS[1]);
    text(
        &mut plot,
        [middle, 16.0],
        "tick",
        "times better than the best peer (left of \"same\": worse)",
    );
    for (ratio, name) in TICKS {
        let x = place(ratio);
        text(&mut plot, [x, 34.0], "tick", name);
        let class = if ratio == 1.0 { "same" } else { "line" };
        let top = TOP - 12.0;
        let bottom = height - ROW;
        let _ = writeln!(
            plot,
            r#"<path d="M{x:.1} {top:.1}V{bottom:.1}" class="{class}"/>"#
        );
    }
    let mut y = TOP;
    for group in groups {
        if let Some(first) = group.first() {
            y += ROW;
            text(&mut plot, [8.0, y], "group", &first.group);
        }
        for row in group {
            y += ROW;
            draw_row(&mut plot, row, y);
        }
        y += ROW / 2.0;
    }
    plot.push_str("</svg>\n");
    plot
}

fn draw_row(plot: &mut String, row: &Row, y: f64) {
    let same = place(1.0);
    let end = place(row.advantage);
    let class = if row.advantage < 1.0 {
        "worse"
    } else {
        "better"
    };
    let left = same.min(end);
    let width = (same - end).abs().max(1.0);
    let top = y - 10.0;
    text(plot, [BARS[0] - 10.0, y], "name", &row.what);
    let _ = writeln!(
        plot,
        r#"<rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="11" class="{class}"><title>{}</title></rect>"#,
        words(row.advantage)
    );
    let figures = format!("{}, {}", row.ours, row.peer);
    text(plot, [BARS[1] + 12.0, y], "figures", &figures);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        root.expect("a workspace")
    }

    fn page(name: &str) -> String {
        read(root(), name).expect("readable")
    }

    #[test]
    fn checked_in_plot_is_that_of_the_table() {
        let rows = rows(&page(TABLE)).expect("a table");
        let is_same = page(PLOT) == draw(&rows);
        assert!(is_same, "run `cargo xtask plot`");
    }

    #[test]
    fn figures_of_the_plot_stand_in_the_raw_tables() {
        let raw = ["queue.md", "couchstore.md", "logstor.md", "cold.md"].map(page);
        let cells: Vec<_> = raw
            .iter()
            .flat_map(|page| page.lines().filter(|line| line.starts_with("| ")))
            .flat_map(|line| line.split('|'))
            .flat_map(|cell| cell.trim().trim_matches('*').split(' ').next())
            .collect();
        for row in rows(&page(TABLE)).expect("a table") {
            let theirs = row.peer.split_once(' ').expect("a name").1;
            for figure in [&*row.ours, theirs] {
                let digits = figure.split(' ').next().expect("digits");
                assert!(cells.contains(&digits), "{figure}: {}", row.what);
            }
        }
    }

    #[test]
    fn row_gives_the_advantage_over_the_peer() {
        let advantage = |line: &str| row(line).map(|row| row.advantage);
        let better = advantage("| a | b | 3.0M | peer 600k | more |").expect("a row");
        assert!((better - 5.0).abs() < 1e-9);
        let better = advantage("| a | b | 4 MiB | peer 8 MiB | less |").expect("a row");
        assert!((better - 2.0).abs() < 1e-9);
        for wrong in [
            "| a | b | 1 | peer 1 |",
            "| a | b | x | peer 1 | more |",
            "| a | b | 1 | peer | more |",
            "| a | b | 1 | peer 0 | more |",
            "| a | b | 1 | peer 1 | faster |",
            "| a | b | 1M | peer 1 | more |",
        ] {
            assert!(advantage(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ratio_is_put_into_words() {
        assert_eq!(words(0.5), "2.0 times worse");
        assert_eq!(words(69.3), "69 times better");
    }
}
