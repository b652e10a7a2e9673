//! Writers, readers with snapshots, purges, rewriting, and vBuckets that come and go, all on
//! threads of their own. No outcome depends on their order. The audit and a restart compare at the
//! end.

use std::sync::atomic::{AtomicBool, Ordering};

use lowtide_checkpoint::{Key, Namespace, Seqno, Vbid};

use crate::contract::{CompactionRequest, Engine};
use crate::disk::{MemoryDisk, PowerLoss};
use crate::logstor::tests::support::{
    SMALL, audit, commit, contents, contents_of, delete, noise, open_with, run, set,
};
use crate::logstor::{Logstor, LogstorConfig};

const ROUNDS: u64 = 300;
const KEYS: u64 = 13;

fn write(engine: &Logstor, vb: Vbid) {
    for round in 0..ROUNDS {
        let seqno = round * 3 + 1;
        let key = |n: u64| format!("key-{}", (round * 5 + n) % KEYS);
        let bytes = if round % 40 == 7 { 90_000 } else { 3000 };
        let batch = [
            set(seqno, &key(0), &noise(seqno, bytes)),
            delete(seqno + 1, &key(1)),
            set(seqno + 2, &key(2), &noise(seqno, 500)),
        ];
        commit(engine, vb, &batch).expect("committed");
        if round % 10 == 9 {
            engine.purge(vb, Seqno(seqno)).expect("purged");
        }
    }
}

/// Asserts that a snapshot shows whole batches, and the same ones twice.
fn read(engine: &Logstor, vb: Vbid, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let snapshot = engine.snapshot(vb).expect("there");
        let first = contents_of(&*snapshot);
        assert_eq!(snapshot.high().0 % 3, 0, "a part of a batch");
        for n in 0..KEYS {
            let key = Key::new(format!("key-{n}").as_bytes());
            engine
                .get(vb, Namespace::Committed, &key)
                .expect("readable");
        }
        assert_eq!(contents_of(&*snapshot), first);
    }
}

fn rewrite(engine: &Logstor, vb: Vbid, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        run(engine
            .compact(vb, CompactionRequest::default())
            .expect("one of this vBucket"))
        .expect("done");
        if let Some(job) = engine.maintenance() {
            run(job).expect("done");
        }
    }
}

fn come_and_go(engine: &Logstor, vb: Vbid, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        engine.create(vb).expect("created");
        commit(engine, vb, &[set(1, "short-lived", &noise(1, 9000))]).expect("committed");
        engine.drop_vbucket(vb).expect("dropped");
    }
}

#[test]
fn everything_at_once_ends_as_it_should() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        disk_bytes: 512 * (64 << 10),
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    let vbs = [Vbid(1), Vbid(2)];
    vbs.iter()
        .for_each(|&vb| engine.create(vb).expect("created"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (engine, over) = (&engine, &over);
        for vb in vbs {
            scope.spawn(move || read(engine, vb, over));
            scope.spawn(move || rewrite(engine, vb, over));
        }
        scope.spawn(move || come_and_go(engine, Vbid(3), over));
        let writers = vbs.map(|vb| scope.spawn(move || write(engine, vb)));
        let written = writers.map(|writer| writer.join());
        over.store(true, Ordering::SeqCst);
        written
            .into_iter()
            .for_each(|written| written.expect("no panic"));
    });
    audit(&engine, true);
    let shown = vbs.map(|vb| contents(&engine, vb));
    assert_eq!(shown[0], shown[1], "both were given the same");
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open_with(&disk, config).expect("opens");
    assert_eq!(vbs.map(|vb| contents(&engine, vb)), shown);
    audit(&engine, true);
}
