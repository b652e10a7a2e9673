//! A budget of segments: what lives fits, whatever was overwritten; what does not fit is refused, and loses nothing.

use checkpoint::Item;

use super::support::{A, B, Contents, SMALL, apply, audit, commit, contents, noise, open_with, set};
use crate::Engine;
use crate::disk::{Keep, MemoryDisk};
use crate::logstor::{Logstor, LogstorConfig};

const TINY: LogstorConfig = LogstorConfig { disk_bytes: 32 * (64 << 10), file_bytes: 64 << 10, ..SMALL };

fn fresh() -> (MemoryDisk, Logstor) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, TINY).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    (disk, engine)
}

#[test]
fn overwriting_for_ever_takes_no_more_than_the_budget() {
    for (keys, bytes) in [(20, 40_000), (200, 3000), (5, 200), (700, 1000)] {
        let (disk, engine) = fresh();
        let mut expected = Contents::new();
        for n in 0..1500_u64 {
            let batch = [set(n + 1, &format!("key-{}", n * 7 % keys), &noise(n, bytes))];
            commit(&engine, A, &batch).unwrap_or_else(|error| panic!("{keys} of {bytes}, {n}: {error}"));
            if n + keys >= 1500 {
                expected = apply(&expected, &batch);
            }
        }
        assert!(disk.usage().bytes <= TINY.disk_bytes + (64 << 10));
        assert_eq!(contents(&engine, A), expected, "{keys} of {bytes}");
        audit(&engine, true);
        drop(engine);
        disk.crash(Keep::None);
        let (engine, _) = open_with(&disk, TINY).expect("opens");
        assert_eq!(contents(&engine, A), expected, "{keys} of {bytes}");
    }
}

#[test]
fn many_small_commits_are_packed() {
    // Each takes a block; together they take little.
    let (_, engine) = fresh();
    for n in 0..3000_u64 {
        let vb = if n % 3 == 0 { B } else { A };
        let high = engine.info(vb).expect("there").high.0;
        commit(&engine, vb, &[set(high + 1, &format!("key-{n}"), b"a small value")]).expect("committed");
    }
    assert_eq!(contents(&engine, A).len() + contents(&engine, B).len(), 3000);
    audit(&engine, true);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_lost() {
    let (disk, engine) = fresh();
    let mut expected = Contents::new();
    let mut seqno = 0;
    let refused = loop {
        seqno += 1;
        let batch = [set(seqno, &format!("key-{seqno}"), &noise(seqno, 10_000))];
        match commit(&engine, A, &batch) {
            Ok(_) => expected = apply(&expected, &batch),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), "no-space");
    assert!(expected.len() > 32 * 6 * 8 / 10, "only {} fit", expected.len());
    assert_eq!(contents(&engine, A), expected);
    audit(&engine, true);
    // Each time again, and each time nothing has changed.
    for _ in 0..3 {
        let large: Vec<Item> = (0..10).map(|n| set(seqno + n, &format!("more-{n}"), &[1; 30_000])).collect();
        assert_eq!(commit(&engine, A, &large).expect_err("too much").kind(), "no-space");
        assert_eq!(contents(&engine, A), expected);
    }
    // Where others had room the call is one of several.
    disk.crash(Keep::None);
    drop(engine);
    let (engine, _) = open_with(&disk, TINY).expect("opens");
    assert_eq!(contents(&engine, A), expected);
    engine.drop_vbucket(A).expect("dropped, full as it is");
    for n in 0..100 {
        commit(&engine, B, &[set(n + 1, &format!("key-{n}"), &noise(n, 10_000))])
            .expect("there is room again");
    }
    assert_eq!(contents(&engine, B).len(), 100);
    audit(&engine, true);
}

#[test]
fn values_larger_than_a_segment_come_back_and_are_freed() {
    let (disk, engine) = fresh();
    let mut engine = engine;
    for n in 0..30_u64 {
        let batch = [set(2 * n + 1, "large", &noise(n, 600_000)), set(2 * n + 2, "small", &noise(n, 10))];
        commit(&engine, A, &batch).expect("committed");
        let expected = apply(&Contents::new(), &batch);
        assert_eq!(contents(&engine, A), expected);
        if n % 10 == 9 {
            audit(&engine, true);
            engine.close().expect("closed");
            disk.crash(Keep::None);
            drop(engine);
            engine = open_with(&disk, TINY).expect("opens").0;
            assert_eq!(contents(&engine, A), expected);
        }
    }
}

#[test]
fn a_value_larger_than_the_store_is_refused() {
    let (_, engine) = fresh();
    commit(&engine, A, &[set(1, "a", b"1")]).expect("committed");
    let error = commit(&engine, A, &[set(2, "huge", &vec![0; 10 << 20])]).expect_err("too large");
    assert_eq!(error.kind(), "no-space");
    commit(&engine, A, &[set(2, "a", b"2")]).expect("nothing has changed");
}

#[test]
fn any_geometry_works() {
    for (segment_bytes, file_bytes, disk_bytes) in
        [(65_536, 65_536, 0), (70_000, 1, 1 << 30), (1 << 20, 3 << 20, 32 << 20), (131_072, 1 << 20, 5 << 20)]
    {
        let config = LogstorConfig { segment_bytes, file_bytes, disk_bytes, ..LogstorConfig::DEFAULT };
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(A).expect("created");
        for n in 0..50_u64 {
            commit(&engine, A, &[set(n + 1, &format!("key-{}", n % 9), &noise(n, 60_000))])
                .expect("committed");
        }
        let before = contents(&engine, A);
        drop(engine);
        // The geometry is the store's, whatever is asked for.
        let (engine, _) = open_with(&disk, SMALL).expect("opens");
        assert_eq!(contents(&engine, A), before);
    }
}
