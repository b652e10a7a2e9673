//! Gets, commits, loads and rewriting on several threads.

use std::sync::atomic::{AtomicBool, Ordering};

use lowtide_checkpoint::{Item, Vbid};

use super::stores::get;
use crate::contract::Engine;
use crate::disk::MemoryDisk;
use crate::logstor::Logstor;
use crate::logstor::tests::support::{
    IMAGES, audit, commit, make_image, noise, open_with, run, set,
};

const KEYS: u64 = 40;

/// Overwrites the vBucket's keys in turn, and gets each before and after.
fn overwrite(engine: &Logstor, vb: Vbid, from: u64, commits: u64) {
    for seqno in from..from + commits {
        let key = format!("key-{}", seqno % KEYS);
        let before = get(engine, vb, &key)
            .expect("readable")
            .expect("there")
            .seqno
            .0;
        assert_eq!(before, seqno - KEYS);
        commit(engine, vb, &[set(seqno, &key, &noise(seqno, 200))]).expect("committed");
        let item = get(engine, vb, &key).expect("readable").expect("there");
        assert_eq!(item, set(seqno, &key, &noise(seqno, 200)));
    }
}

/// Asserts that each key of a vBucket stays present, whole, and never older than before.
fn look(engine: &Logstor, vb: Vbid, over: &AtomicBool) {
    let mut seen = vec![0; KEYS as usize];
    while !over.load(Ordering::SeqCst) {
        for (n, seen) in (0..).zip(&mut seen) {
            let item = get(engine, vb, &format!("key-{n}"))
                .expect("readable")
                .expect("there");
            assert!(item.seqno.0 >= *seen && item.value == Some(noise(item.seqno.0, 200).into()));
            *seen = item.seqno.0;
        }
    }
}

#[test]
fn concurrent_gets_commits_and_loads_agree() {
    let disk = MemoryDisk::new();
    let vbs = [Vbid(1), Vbid(2)];
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    for vb in vbs {
        engine.create(vb).expect("created");
        let first: Vec<Item> = (1..=KEYS)
            .map(|n| set(n, &format!("key-{}", n % KEYS), &noise(n, 200)))
            .collect();
        commit(&engine, vb, &first).expect("committed");
    }
    make_image(&engine).expect("made");
    drop(engine);
    let commits = 30;
    for round in 0..20 {
        let from = KEYS + 1 + round * commits;
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        assert_eq!(engine.store.registry.left_to_load(), 2);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (engine, over) = (&engine, &over);
            scope.spawn(move || look(engine, vbs[0], over));
            let writers = vbs.map(|vb| scope.spawn(move || overwrite(engine, vb, from, commits)));
            let loader = scope.spawn(move || engine.store.registry.load_all());
            let rewriter = scope.spawn(move || run(engine.separate().expect("no other job runs")));
            let written = writers.map(|writer| writer.join());
            loader.join().expect("no panic").expect("loaded");
            rewriter.join().expect("no panic").expect("separated");
            over.store(true, Ordering::SeqCst);
            written
                .into_iter()
                .for_each(|written| written.expect("no panic"));
        });
        audit(&engine, true);
        make_image(&engine).expect("made");
        drop(engine);
    }
}
