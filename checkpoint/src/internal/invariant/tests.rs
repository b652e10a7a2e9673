//! Tests of the reports of impossible states: each kind panics in a checked build, and does in a
//! release build what its row says.

use super::*;

const VIOLATION: Violation = Violation {
    invariant: "C3",
    what: "seqnos rise",
};

fn require(holds: bool) -> Result<(), Violation> {
    invariant!(holds, "C3", "seqnos rise");
    Ok(())
}

#[test]
fn kept_invariant_is_silent() {
    assert_eq!(require(true), Ok(()));
    assert_eq!(Some(1).invariant("C3", "seqnos rise"), Ok(1));
    assert_eq!(Some(1).expected("C3", "seqnos rise"), Some(1));
    checked_invariant!(true, "C3", "seqnos rise");
    let mut total = 3;
    subtract(&mut total, 3, "C2", "a part is in its total");
    assert_eq!(total, 0);
}

#[test]
fn violated_invariant_is_returned_in_release() {
    as_in_release(|| {
        assert_eq!(require(false), Err(VIOLATION));
        assert_eq!(None::<u8>.invariant("C3", "seqnos rise"), Err(VIOLATION));
        assert_eq!(None::<u8>.expected("C3", "seqnos rise"), None);
        let mut total = 3;
        subtract(&mut total, 4, "C2", "a part is in its total");
        assert_eq!(total, 0);
    });
}

#[test]
#[should_panic(expected = "invariant C3 is violated: seqnos rise")]
fn violated_condition_panics() {
    let _violation = require(false);
}

#[test]
#[should_panic(expected = "invariant C3 is violated")]
fn missing_value_panics() {
    let _violation = None::<u8>.invariant("C3", "seqnos rise");
}

#[test]
#[should_panic(expected = "invariant C3 is violated")]
fn missing_value_with_a_fallback_panics() {
    let _fallback = None::<u8>.expected("C3", "seqnos rise").unwrap_or(0);
}

#[test]
#[should_panic(expected = "invariant C3 is violated")]
fn violated_checked_condition_panics() {
    checked_invariant!(false, "C3", "seqnos rise");
}

#[test]
#[should_panic(expected = "invariant C2 is violated")]
fn part_larger_than_its_total_panics() {
    subtract(&mut 3, 4, "C2", "a part is in its total");
}
