//! Files with a single flaw under good checksums: each verification of the check finds its own.

mod headers;
mod rows;
mod trees;

use crate::couchstore::tests::craft::{Craft, OnRows, SOUND};
use crate::couchstore::tools::check::file_check::check_commit;
use crate::couchstore::tools::{Finding, FindingKind};

use super::kinds;

fn found(craft: Craft<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    check_commit(&craft.build(), &mut found).expect("a readable disk");
    found
}

/// Checks that these kinds are found and no other.
fn finds(craft: Craft<'_>, expected: &[FindingKind]) -> Vec<Finding> {
    let found = found(craft);
    assert_eq!(
        kinds(&found),
        expected.iter().copied().collect(),
        "{found:#?}"
    );
    assert!(found.iter().all(|finding| !finding.to_string().is_empty()));
    found
}

fn finds_in_rows(rows: OnRows<'_>, expected: &[FindingKind]) -> Vec<Finding> {
    finds(Craft { rows, ..SOUND }, expected)
}

#[test]
fn crafted_file_without_change_is_sound() {
    finds(SOUND, &[]);
}
