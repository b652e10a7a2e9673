//! The lock order: the page, the tables next to the code and the constants agree.

use super::files::{self, SourceFile};

/// The files with ranks, and the tables above them, of each crate.
const CRATES: [(&str, &str); 2] = [
    ("persistence/src/sync/ranks.rs", "persistence/src/sync.rs"),
    (
        "checkpoint/src/internal/sync/ranks.rs",
        "checkpoint/src/internal/sync.rs",
    ),
];

/// Rank and field of a lock, ascending by rank.
type Ranks = Vec<(u8, String)>;

fn text<'a>(files: &'a [SourceFile], path: &str) -> &'a str {
    let file = files.iter().find(|file| file.path == path);
    &file.unwrap_or_else(|| panic!("{path} is missing")).text
}

/// Returns the ranks that a file defines: `Rank::new(14, "SegmentTable::inner")`.
fn constants(text: &str) -> Ranks {
    let parse = |call: &str| {
        let (number, rest) = call.split_once(", \"")?;
        let (field, _) = rest.split_once('"')?;
        Some((number.parse().ok()?, field.to_owned()))
    };
    let calls = text.split("Rank::new(").skip(1);
    calls.map(|call| parse(call).expect(call)).collect()
}

/// Returns the rows of a table `| field | rank | protects |`.
fn rows(text: &str) -> Ranks {
    let parse = |line: &str| {
        let line = line.trim_start_matches("//! ").strip_prefix("| ")?;
        let mut cells = line.split(" | ");
        let field = cells.next()?;
        let number = cells.next()?.parse().ok()?;
        let field = field.split(" (").next()?;
        Some((number, field.replace('`', "")))
    };
    text.lines().filter_map(parse).collect()
}

/// Guards that a reader of either place learns the order that debug builds enforce, and that no
/// rank is used twice.
#[test]
fn lock_order_is_the_same_everywhere() {
    let files = files::all();
    let mut all = Ranks::new();
    for (ranks, table) in CRATES {
        let defined = constants(text(&files, ranks));
        assert_eq!(rows(text(&files, table)), defined, "{table}");
        all.extend(defined);
    }
    all.sort();
    assert!(
        all.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "a rank is used twice: {all:?}"
    );
    assert_eq!(rows(text(&files, "docs/lock-order.md")), all);
}
