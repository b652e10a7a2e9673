//! Every outcome of a power loss, for files small enough to list all outcomes.

use std::collections::BTreeSet;

use super::*;
use crate::disk::memory::for_all_choices;

fn bytes(image: &Image) -> Vec<u8> {
    let mut buffer = vec![0xee; image.len() as usize];
    assert_eq!(image.read(&mut buffer, 0), buffer.len());
    buffer
}

/// Shows bytes as runs of equal ones, as in `a300 b300`.
fn runs(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b);
    runs.map(|run| {
        format!(
            "{}{}",
            if run[0] == 0 { '.' } else { char::from(run[0]) },
            run.len()
        )
    })
    .collect::<Vec<_>>()
    .join(" ")
}

fn outcomes(contents: &Contents) -> BTreeSet<String> {
    let mut outcomes = BTreeSet::new();
    for_all_choices(|choose| {
        outcomes.insert(runs(&bytes(&contents.survivors(choose))));
    });
    outcomes
}

fn set(outcomes: &[&str]) -> BTreeSet<String> {
    outcomes.iter().map(|&outcome| outcome.to_owned()).collect()
}

fn durable(byte: u8, len: usize) -> Contents {
    let mut image = Image::default();
    image.write(0, &vec![byte; len]);
    Contents::new(image)
}

fn write(contents: &mut Contents, offset: u64, byte: u8, len: usize) {
    contents.write(offset, Payload::Bytes(vec![byte; len]));
}

#[test]
fn synced_file_has_one_outcome() {
    let mut contents = Contents::default();
    write(&mut contents, 0, b'a', 5000);
    contents.set_len(4500);
    write(&mut contents, 4600, b'b', 10);
    contents.sync();
    assert_eq!(outcomes(&contents), set(&["a4500 .100 b10"]));
}

#[test]
fn synced_cut_is_not_undone_by_extending() {
    let mut contents = durable(b'a', 9000);
    contents.set_len(100);
    contents.set_len(9000);
    contents.sync();
    assert_eq!(outcomes(&contents), set(&["a100 .8900"]));
    contents.set_len(50);
    write(&mut contents, 5000, b'b', 10);
    contents.sync();
    assert_eq!(outcomes(&contents), set(&["a50 .4950 b10"]));
}

#[test]
fn overwrite_is_torn_at_sectors() {
    let mut contents = durable(b'a', 1200);
    write(&mut contents, 500, b'b', 600);
    let expected = set(&[
        "a1200",
        "a500 b12 a688",
        "a512 b512 a176",
        "a1024 b76 a100",
        "a500 b524 a176",
        "a500 b12 a512 b76 a100",
        "a512 b588 a100",
        "a500 b600 a100",
    ]);
    assert_eq!(outcomes(&contents), expected);
}

#[test]
fn writes_of_different_sectors_are_not_ordered() {
    let mut contents = durable(b'a', 1024);
    write(&mut contents, 0, b'b', 10);
    write(&mut contents, 512, b'c', 10);
    let expected = set(&["a1024", "b10 a1014", "a512 c10 a502", "b10 a502 c10 a502"]);
    assert_eq!(outcomes(&contents), expected);
}

#[test]
fn sector_never_has_a_later_write_without_the_earlier_one() {
    let mut contents = durable(b'a', 512);
    write(&mut contents, 0, b'b', 10);
    write(&mut contents, 100, b'c', 10);
    assert_eq!(
        outcomes(&contents),
        set(&["a512", "b10 a502", "b10 a90 c10 a402"])
    );
}

#[test]
fn append_may_leave_zeros_or_a_short_file() {
    let mut contents = durable(b'a', 512);
    write(&mut contents, 512, b'b', 1000);
    let expected = set(&[
        "a512",           // Lost.
        "a512 .1000",     // The length without the bytes.
        "a512 b512",      // The first sector, and a length to match.
        "a512 b512 .488", // The first sector and the whole length.
        "a512 .512 b488", // The last sector over a hole.
        "a512 b1000",
    ]);
    assert_eq!(outcomes(&contents), expected);
}

#[test]
fn later_append_may_survive_a_lost_earlier_one() {
    let mut contents = durable(b'a', 512);
    write(&mut contents, 512, b'b', 512);
    write(&mut contents, 1024, b'c', 512);
    assert_eq!(
        outcomes(&contents),
        set(&["a512", "a512 b512", "a512 .512 c512", "a512 b512 c512"])
    );
}

#[test]
fn lost_cut_keeps_the_old_bytes() {
    let mut contents = durable(b'a', 1024);
    contents.set_len(512);
    write(&mut contents, 512, b'b', 100);
    let expected = set(&["a1024", "a512", "a512 b100"]);
    assert_eq!(
        outcomes(&contents),
        expected,
        "b has no place where the cut did not happen"
    );
}

#[test]
fn lengths_change_in_order() {
    let mut contents = durable(b'a', 100);
    contents.set_len(50);
    contents.set_len(200);
    assert_eq!(outcomes(&contents), set(&["a100", "a50", "a50 .150"]));
}

#[test]
fn preallocated_zeros_survive_like_written_bytes() {
    let mut contents = durable(b'a', 1024);
    contents.write(0, Payload::Zeros(1024));
    assert_eq!(
        outcomes(&contents),
        set(&["a1024", ".512 a512", "a512 .512", ".1024"])
    );
}

#[test]
fn bytes_of_a_failed_sync_are_passed_by_later_syncs() {
    let mut contents = durable(b'a', 512);
    write(&mut contents, 0, b'b', 100);
    contents.fail_sync();
    write(&mut contents, 200, b'c', 100);
    contents.sync();
    contents.sync();
    assert_eq!(
        runs(&bytes(contents.current())),
        "b100 a100 c100 a212",
        "they are still read"
    );
    assert_eq!(
        outcomes(&contents),
        set(&["a200 c100 a212", "b100 a100 c100 a212"])
    );
}

#[test]
fn bytes_in_limbo_written_and_synced_again_are_durable() {
    let mut contents = durable(b'a', 512);
    write(&mut contents, 0, b'b', 100);
    contents.fail_sync();
    write(&mut contents, 0, b'b', 40);
    contents.sync();
    assert_eq!(outcomes(&contents), set(&["b40 a472", "b100 a412"]));
    write(&mut contents, 40, b'b', 60);
    contents.sync();
    assert_eq!(outcomes(&contents), set(&["b100 a412"]));
}

#[test]
fn sector_in_limbo_may_be_as_after_any_of_its_writes() {
    let mut contents = durable(0, 512);
    write(&mut contents, 0, b'b', 100);
    contents.write(0, Payload::Zeros(60));
    contents.fail_sync();
    contents.sync();
    assert_eq!(runs(&bytes(contents.current())), ".60 b40 .412");
    let expected = set(&[".512", "b100 .412", ".60 b40 .412"]);
    assert_eq!(
        outcomes(&contents),
        expected,
        "b may have reached the disk before it was written over"
    );
    contents.write(0, Payload::Zeros(100));
    contents.sync();
    assert_eq!(
        outcomes(&contents),
        set(&[".512"]),
        "written again and synced, it is gone for good"
    );
}

#[test]
fn limbo_does_not_split_sectors() {
    let mut contents = durable(b'a', 1024);
    write(&mut contents, 0, b'b', 1024);
    contents.fail_sync();
    write(&mut contents, 100, b'c', 100);
    contents.sync();
    let expected = set(&[
        "a100 c100 a824",
        "b100 c100 b312 a512",
        "a100 c100 a312 b512",
        "b100 c100 b824",
    ]);
    assert_eq!(outcomes(&contents), expected);
}

#[test]
fn append_in_limbo_becomes_zeros() {
    let mut contents = durable(b'a', 512);
    write(&mut contents, 512, b'b', 512);
    contents.fail_sync();
    assert_eq!(outcomes(&contents), set(&["a512", "a512 b512"]));
    contents.sync();
    assert_eq!(outcomes(&contents), set(&["a512 .512", "a512 b512"]));
    contents.set_len(512);
    contents.sync();
    contents.set_len(1024);
    contents.sync();
    assert_eq!(
        outcomes(&contents),
        set(&["a512 .512"]),
        "what was cut off does not come back"
    );
}
