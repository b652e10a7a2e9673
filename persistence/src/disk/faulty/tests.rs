//! Every fault at every kind of call, and the state of the disk afterwards.

use std::path::Path;
use std::sync::Arc;

use crate::disk::error::{DiskErrorKind, DiskOperation, DiskResult};
use crate::disk::memory::{MemoryDisk, PowerLoss};
use crate::disk::traits::{Access, Disk, DiskFile};

use super::{Fault, FaultyDisk};

fn kind<T>(result: DiskResult<T>) -> Option<DiskErrorKind> {
    result.err().map(|error| error.kind)
}

/// Returns a disk with a durable file `a` of 1,000 `-`.
fn disk() -> (FaultyDisk, Arc<dyn DiskFile>) {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let file = disk.create(Path::new("a")).expect("new");
    file.write_at(&[&[b'-'; 1000]], 0).expect("space");
    file.sync_data().expect("power");
    disk.sync_dir(Path::new("")).expect("power");
    (disk, file)
}

fn head(disk: &FaultyDisk, len: usize) -> String {
    let file = disk
        .memory()
        .open(Path::new("a"), Access::ReadOnly)
        .expect("there");
    let mut bytes = vec![0; len];
    let count = file.read_at(&mut bytes, 0).expect("power");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[test]
fn nth_write_fails_once() {
    let (disk, file) = disk();
    disk.fail_write(2, Fault::Eio);
    file.write_at(&[b"1"], 0).expect("not yet");
    file.set_len(900).expect("not a write");
    file.sync_data().expect("not a write");
    let error = file.write_at(&[b"2"], 1).expect_err("planned");
    assert_eq!(
        (error.kind, error.offset, error.operation),
        (DiskErrorKind::Io, Some(1), DiskOperation::Write)
    );
    file.write_at(&[b"3"], 2).expect("not any more");
    assert_eq!(head(&disk, 4), "1-3-");
}

#[test]
fn each_fault_of_a_write_leaves_its_own_part() {
    let cases = [
        (Fault::Eio, "-----", DiskErrorKind::Io),
        (Fault::Enospc, "-----", DiskErrorKind::NoSpace),
        (Fault::Torn { bytes: 0 }, "-----", DiskErrorKind::Io),
        (Fault::Torn { bytes: 3 }, "abc--", DiskErrorKind::Io),
        (Fault::Torn { bytes: 99 }, "abcd-", DiskErrorKind::Io),
        (Fault::EioPersisted, "abcd-", DiskErrorKind::Io),
    ];
    for (fault, landed, expected) in cases {
        let (disk, file) = disk();
        disk.fail_write(1, fault);
        assert_eq!(
            kind(file.write_at(&[b"ab", b"cd"], 0)),
            Some(expected),
            "{fault:?}"
        );
        assert_eq!(head(&disk, 5), landed, "{fault:?}");
        disk.crash(PowerLoss::DropUnsynced);
        assert_eq!(head(&disk, 5), "-----", "{fault:?}: nothing was synced");
    }
    let (disk, file) = disk();
    disk.fail_write(1, Fault::Torn { bytes: 2 });
    assert_eq!(kind(file.preallocate(0, 4)), Some(DiskErrorKind::Io));
    assert_eq!(head(&disk, 5), "\0\0---");
}

#[test]
fn failed_sync_is_not_repaired_by_a_later_one() {
    let (disk, file) = disk();
    file.write_at(&[b"abcd"], 0).expect("space");
    disk.fail_sync(1);
    assert_eq!(kind(file.sync_data()), Some(DiskErrorKind::Io));
    file.sync_data().expect("says so");
    assert_eq!(head(&disk, 5), "abcd-");
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(head(&disk, 5), "-----");
}

#[test]
fn persisted_fault_of_a_sync_makes_it_durable_and_reports_it() {
    let (disk, file) = disk();
    file.write_at(&[b"abcd"], 0).expect("space");
    disk.fail_io(1, Fault::EioPersisted);
    assert_eq!(kind(file.sync_data()), Some(DiskErrorKind::Io));
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(head(&disk, 5), "abcd-");
}

#[test]
fn directorys_failed_sync_can_be_repeated() {
    let (disk, _) = disk();
    disk.create(Path::new("b")).expect("new");
    disk.fail_sync(1);
    assert_eq!(kind(disk.sync_dir(Path::new(""))), Some(DiskErrorKind::Io));
    disk.clone().sync_dir(Path::new("")).expect("good");
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(disk.list(Path::new("")).expect("power"), ["a", "b"]);
    disk.create(Path::new("c")).expect("new");
    disk.fail_sync(1);
    assert!(disk.sync_dir(Path::new("")).is_err());
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(disk.list(Path::new("")).expect("power"), ["a", "b"]);
}

/// Makes one call of every kind that changes something, in an order in which all succeed.
fn workload(disk: &FaultyDisk) -> Vec<DiskResult<()>> {
    let file = disk.open(Path::new("a"), Access::ReadWrite);
    let on_file = |call: &dyn Fn(&dyn DiskFile) -> DiskResult<()>| match &file {
        Ok(file) => call(&**file),
        Err(_) => Ok(()),
    };
    vec![
        disk.create_dir(Path::new("dir")),
        disk.create(Path::new("b")).map(drop),
        disk.rename(Path::new("b"), Path::new("c")),
        disk.remove(Path::new("c")),
        on_file(&|file| file.set_len(900)),
        on_file(&|file| file.preallocate(900, 9)),
        on_file(&|file| file.write_at(&[b"x"], 0)),
        on_file(&|file| file.sync_data()),
        disk.sync_dir(Path::new("")),
    ]
}

#[test]
fn every_io_counts_once_and_can_fail() {
    let (disk, _) = disk();
    let before = disk.io_count();
    assert!(workload(&disk).iter().all(Result::is_ok));
    let ios = disk.io_count() - before;
    assert_eq!(ios, 9);
    for nth in 1..=ios {
        for (fault, expected) in [
            (Fault::Eio, DiskErrorKind::Io),
            (Fault::Enospc, DiskErrorKind::NoSpace),
        ] {
            let (disk, _) = self::disk();
            disk.fail_io(nth, fault);
            let kinds: Vec<_> = workload(&disk).into_iter().map(kind).collect();
            let first = kinds.iter().position(Option::is_some);
            assert_eq!(first, Some(nth as usize - 1));
            assert_eq!(kinds[nth as usize - 1], Some(expected));
        }
    }
}

#[test]
fn persisted_fault_of_an_io_does_it_and_reports_it() {
    let (disk, file) = disk();
    disk.fail_io(1, Fault::EioPersisted);
    assert!(disk.create(Path::new("b")).is_err());
    assert_eq!(disk.list(Path::new("")).expect("power"), ["a", "b"]);
    disk.fail_io(1, Fault::EioPersisted);
    assert!(file.set_len(3).is_err());
    assert_eq!(head(&disk, 9), "---");
    disk.fail_io(1, Fault::Eio);
    assert!(file.set_len(2).is_err());
    assert_eq!(head(&disk, 9), "---");
    disk.fail_io(1, Fault::Eio);
    assert!(disk.remove(Path::new("b")).is_err());
    assert_eq!(disk.list(Path::new("")).expect("power"), ["a", "b"]);
}

#[test]
fn calls_without_power_fail_until_the_crash_restores_it() {
    for nth in 1..=9 {
        let (disk, file) = disk();
        let before = disk.io_count();
        disk.power_off_at_io(nth);
        let kinds: Vec<_> = workload(&disk).into_iter().map(kind).collect();
        let (done, lost) = kinds.split_at(nth as usize - 1);
        assert!(done.iter().all(Option::is_none));
        assert!(
            lost.iter()
                .all(|&kind| kind == Some(DiskErrorKind::PowerLost)),
            "{kinds:?}"
        );
        assert_eq!(
            disk.io_count() - before,
            nth,
            "calls without power are not counted"
        );
        let off = Some(DiskErrorKind::PowerLost);
        assert!(disk.is_off());
        assert_eq!(kind(file.read_at(&mut [0], 0)), off);
        assert_eq!(kind(file.len()), off);
        assert_eq!(kind(disk.open(Path::new("a"), Access::ReadOnly)), off);
        assert_eq!(kind(disk.list(Path::new(""))), off);
        assert_eq!(kind(disk.lock(Path::new(""))), off);

        disk.crash(PowerLoss::DropUnsynced);
        assert!(!disk.is_off());
        assert_eq!(
            kind(file.read_at(&mut [0], 0)),
            off,
            "old handles stay dead"
        );
        assert_eq!(disk.list(Path::new("")).expect("power"), ["a"]);
        assert_eq!(head(&disk, 2), if nth <= 8 { "--" } else { "x-" });
    }
}

#[test]
fn last_write_before_a_crash_is_left_as_the_crash_chooses() {
    let (disk, file) = disk();
    disk.power_off_at_io(1);
    assert_eq!(
        kind(file.write_at(&[&[b'x'; 1000]], 0)),
        Some(DiskErrorKind::PowerLost)
    );
    // Torn: of its two sectors only the second survives.
    let mut choices = [1, 0, 1].into_iter();
    disk.crash_with(&mut |_| choices.next().expect("no more is asked"));
    assert_eq!(head(&disk, 1000), "-".repeat(512) + &"x".repeat(488));

    let file = disk.open(Path::new("a"), Access::ReadWrite).expect("power");
    file.write_at(&[&[b'y'; 1000]], 0).expect("space");
    let mut choices = [1, 1, 0].into_iter();
    disk.crash_with(&mut |_| {
        choices
            .next()
            .expect("of a write that extends nothing no length is asked")
    });
    assert_eq!(head(&disk, 1000), "y".repeat(512) + &"x".repeat(488));

    let file = disk.open(Path::new("a"), Access::ReadWrite).expect("power");
    disk.power_off_at_io(1);
    assert_eq!(kind(file.set_len(3)), Some(DiskErrorKind::PowerLost));
    disk.crash(PowerLoss::KeepUnsynced);
    assert_eq!(head(&disk, 9), "yyy");
}

#[test]
fn faults_that_meet_strike_with_the_more_precise_one() {
    let (disk, file) = disk();
    disk.fail_io(1, Fault::Eio);
    disk.fail_write(1, Fault::Enospc);
    assert_eq!(
        kind(file.write_at(&[b"x"], 0)),
        Some(DiskErrorKind::NoSpace)
    );
    file.write_at(&[b"x"], 0).expect("the other is used up too");
    disk.fail_io(1, Fault::Eio);
    disk.power_off_at_io(1);
    assert_eq!(
        kind(file.write_at(&[b"x"], 0)),
        Some(DiskErrorKind::PowerLost)
    );
}

#[test]
fn several_planned_faults_strike_in_turn() {
    let (disk, file) = disk();
    disk.fail_write(1, Fault::Eio);
    disk.fail_write(2, Fault::Enospc);
    disk.fail_io(3, Fault::Eio);
    disk.power_off_at_io(5);
    disk.power_off_at_io(6);
    let write = || kind(file.write_at(&[b"x"], 0));
    let (io, no_space, off) = (
        DiskErrorKind::Io,
        DiskErrorKind::NoSpace,
        DiskErrorKind::PowerLost,
    );
    assert_eq!(
        [write(), write(), write(), write(), write()],
        [Some(io), Some(no_space), Some(io), None, Some(off)]
    );
    disk.crash(PowerLoss::DropUnsynced);
    assert_eq!(
        kind(disk.create(Path::new("b"))),
        Some(off),
        "the second loss of power is still to come"
    );
    disk.crash(PowerLoss::DropUnsynced);
    disk.fail_io(1, Fault::Eio);
    disk.fail_sync(1);
    disk.clear_faults();
    disk.create(Path::new("b")).expect("nothing planned");
    disk.sync_dir(Path::new("")).expect("nothing planned");
}

#[test]
fn call_without_power_and_without_a_handle_reports_the_power() {
    let (disk, _file) = disk();
    disk.limit_handles(Some(1));
    disk.power_off();
    let (path, dir) = (Path::new("b"), Path::new(""));
    let kinds = [
        kind(disk.create(path)),
        kind(disk.open(path, Access::ReadOnly)),
        kind(disk.list(dir)),
        kind(disk.lock(dir)),
        kind(disk.sync_dir(dir)),
        kind(disk.open_dir(dir)),
    ];
    assert_eq!(kinds, [Some(DiskErrorKind::PowerLost); 6]);
}

#[test]
fn power_turned_off_between_calls_fails_the_next_one() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let file = disk.create(Path::new("/a")).expect("new");
    disk.power_off();
    assert!(disk.is_off());
    assert_eq!(
        file.write_at(&[b"x"], 0).expect_err("off").kind,
        DiskErrorKind::PowerLost
    );
    assert_eq!(disk.io_count(), 1, "calls without power don't count");
    disk.crash(PowerLoss::KeepUnsynced);
    assert!(!disk.is_off());
    assert_eq!(disk.list(Path::new("/")).expect("listed"), ["a"]);
}
