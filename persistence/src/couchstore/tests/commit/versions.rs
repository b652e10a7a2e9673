//! Files of older versions (E19): created on request, continued in their version, and as durable as
//! others.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Datatype, Item, Key, Namespace, Seqno, VBucketState};

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::format::FormatVersion;
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::tests::support::{
    VB, commit, contents, delete, file, fixture, open, open_with, set, state, store_with,
};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, FaultyDisk, MemoryDisk, PowerLoss};

const OLDER: [(&str, u8); 9] = [
    ("g_ten_v11", 11),
    ("g_ten_v12", 12),
    ("g_ten_v13", 13),
    ("j_v6.6.5_b_ten", 12),
    ("j_v6.6.5_d_rich", 12),
    ("j_v6.6.5_h_boundary", 12),
    ("j_v7.6.11_b_ten", 13),
    ("j_v7.6.11_d_rich", 13),
    ("j_v7.6.11_h_boundary", 13),
];

fn read(disk: &dyn Disk) -> CouchFile {
    CouchFile::open_read_only(disk, &file()).expect("opens")
}

type Contents = BTreeMap<u64, Item>;

fn apply(contents: &Contents, batch: &[Item]) -> Contents {
    let mut next = contents.clone();
    for item in batch {
        let same = |old: &Item| {
            old.key == item.key && old.operation.namespace() == item.operation.namespace()
        };
        next.retain(|_, old| !same(old));
        next.insert(item.seqno.0, item.clone());
    }
    next
}

/// Batches that change, delete and add documents of a file whose high seqno is `high`.
fn batches(contents: &Contents, high: u64) -> Vec<Vec<Item>> {
    let committed = contents
        .values()
        .filter(|item| item.operation.namespace() == Some(Namespace::Committed));
    let keys: Vec<&Key> = committed.map(|item| &item.key).collect();
    let of_key = |item: Item, key: &Key| Item {
        key: key.clone(),
        ..item
    };
    vec![
        vec![
            of_key(set(high + 1, "", b"changed"), keys[0]),
            Item {
                datatype: Datatype::SNAPPY,
                ..set(high + 2, "large", &[7; 9000])
            },
        ],
        vec![
            of_key(delete(high + 4, ""), keys[1]),
            set(high + 5, "large", b"small"),
        ],
    ]
}

/// Returns the size of each body in the file's rows, by seqno.
fn sizes(file: &CouchFile) -> BTreeMap<u64, u64> {
    let infos = file
        .doc_infos(Seqno(0))
        .expect("rows")
        .map(|info| info.expect("readable"));
    infos
        .map(|info| (info.seqno.0, info.physical_bytes))
        .collect()
}

#[test]
fn older_files_are_continued_in_their_version() {
    for (case, version) in OLDER {
        let disk = store_with(case);
        let (header, sizes_before) = (read(&disk).header(), sizes(&read(&disk)));
        let mut expected = contents(&open(&disk).expect("opens").0, VB);
        for batch in batches(&expected, header.info.high.0) {
            let (engine, report) = open(&disk).expect("opens");
            assert_eq!(report.repairs, [], "{case}");
            commit(&engine, VB, &batch).expect("committed");
            expected = apply(&expected, &batch);
            assert_eq!(contents(&engine, VB), expected, "{case}");
            engine.close().expect("closed");
            drop(engine);
            let (engine, report) = open(&disk).expect("opens");
            assert_eq!(report.repairs, [], "{case}");
            assert_eq!(contents(&engine, VB), expected, "{case}");
            let snapshot = engine.snapshot(VB).expect("there");
            // The vendor's file has its own purge seqno, which no commit lowers.
            let purge_seqno = snapshot.info().purge;
            let expected_state = VBucketState {
                purge_seqno,
                ..state(snapshot.high().0)
            };
            assert_eq!(snapshot.state(), Some(&expected_state), "{case}");
            // Up to 6.6 sizes include type bytes. Existing rows keep their sizes, and new rows are
            // without.
            for (seqno, bytes) in sizes(&read(&disk)) {
                let large = batch.iter().any(|item| {
                    item.seqno.0 == seqno
                        && item.value.as_ref().is_some_and(|value| value.len() == 9000)
                });
                let expected = if large {
                    Some(HEAD_BYTES + 9000)
                } else {
                    sizes_before.get(&seqno).copied()
                };
                assert!(
                    expected.is_none_or(|expected| expected == bytes),
                    "{case}: {seqno}"
                );
            }
        }
        let header = read(&disk).header();
        assert_eq!((header.version, header.previous), (version, None), "{case}");
        assert_eq!(header.timestamp, if version < 13 { 0 } else { 1 }, "{case}");
    }
}

#[test]
fn older_files_survive_power_loss_at_any_io() {
    for (case, _) in OLDER.into_iter().take(3) {
        let on_faulty = || {
            let disk = FaultyDisk::new(store_with(case));
            let before = disk.io_count();
            (disk, before)
        };
        let (disk, before) = on_faulty();
        let (engine, _) = open(&disk).expect("opens");
        let mut stages = vec![contents(&engine, VB)];
        for batch in batches(&stages[0], 10) {
            commit(&engine, VB, &batch).expect("committed");
            stages.push(apply(stages.last().expect("one"), &batch));
        }
        engine.close().expect("closed");
        let ios = disk.io_count() - before;
        let keeps = [
            PowerLoss::DropUnsynced,
            PowerLoss::KeepUnsynced,
            PowerLoss::Random { seed: 1 },
            PowerLoss::Random { seed: 2 },
        ];
        for (nth, keep) in (1..=ios).flat_map(|nth| keeps.map(|keep| (nth, keep))) {
            let what = format!("{case}, off at {nth}, {keep:?}");
            let (disk, _) = on_faulty();
            disk.power_off_at_io(nth);
            let mut acknowledged = 0;
            let mut go = || {
                let (engine, _) = open(&disk)?;
                for batch in batches(&stages[0], 10) {
                    commit(&engine, VB, &batch)?;
                    acknowledged += 1;
                }
                engine.close()
            };
            let result: Result<(), EngineError> = go();
            assert!(result.is_err(), "{what}");
            disk.crash(keep);
            let found = contents(
                &open(&disk)
                    .unwrap_or_else(|error| panic!("{what}: {error}"))
                    .0,
                VB,
            );
            let stage = stages.iter().position(|stage| *stage == found);
            assert!(
                stage.is_some_and(|stage| (acknowledged..=acknowledged + 1).contains(&stage)),
                "{what}"
            );
        }
    }
}

#[test]
fn new_files_have_the_configured_version() {
    for (version, golden, header_bytes) in [
        (FormatVersion::V12, "j_v6.6.5_b_ten", 34),
        (FormatVersion::V13, "j_v7.6.11_b_ten", 42),
        (FormatVersion::V14, "b_ten", 48),
    ] {
        let config = CouchstoreConfig {
            version,
            ..CouchstoreConfig::default()
        };
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        let mut made = vec![0; 48];
        let stored = disk.open(&file(), Access::ReadOnly).expect("there");
        let len = stored.read_at(&mut made, 0).expect("readable");
        let mut vendors = std::fs::read(fixture(&format!("{golden}.couch.1"))).expect("fixture");
        if version == FormatVersion::V13 {
            // That release had a time in the first header as well.
            vendors[5..9].copy_from_slice(&made[5..9]);
            vendors[34..42].fill(0);
        }
        assert_eq!(
            (len, &made[..len]),
            (header_bytes, &vendors[..header_bytes]),
            "{golden}"
        );

        commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
        commit(&engine, VB, &[set(2, "b", b"2"), delete(3, "a")]).expect("committed");
        let expected = contents(&engine, VB);
        drop(engine);
        // The settings of the store that opens a file do not change its version.
        let (engine, _) = open(&disk).expect("opens");
        commit(&engine, VB, &[set(4, "c", b"3")]).expect("committed");
        assert_eq!(contents(&engine, VB).len(), expected.len() + 1);
        let header = read(&disk).header();
        assert_eq!(header.version, version.number());
        assert_eq!(header.previous.is_some(), version == FormatVersion::V14);
    }
}

#[test]
fn older_versions_take_two_syncs_a_commit() {
    for (version, syncs) in [
        (FormatVersion::V12, 2),
        (FormatVersion::V13, 2),
        (FormatVersion::V14, 1),
    ] {
        let disk = MemoryDisk::new();
        let config = CouchstoreConfig {
            version,
            ..CouchstoreConfig::default()
        };
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        let before = engine.stats()["syncs"];
        commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
        assert_eq!(engine.stats()["syncs"] - before, syncs);
        // So the vendor's tools see it whatever happens later.
        disk.crash(PowerLoss::DropUnsynced);
        let seen = read(&disk).header().info.high;
        assert_eq!(seen, Seqno(if syncs == 2 { 1 } else { 0 }));
    }
}
