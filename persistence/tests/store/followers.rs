//! Followers of one store and of another: from disk to memory, many in one wait, and copies.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowtide_checkpoint::{QuotaConfig, ResumePoint, State, Vbid};

use crate::rig::{LONG, Rig};
use lowtide_persistence::FollowerEvent;
use lowtide_persistence::{Applied, Followed, Follower, Store};

const VB: Vbid = Vbid(1);

/// The documents of a reader, and the seqnos that it saw.
#[derive(Debug, Default)]
struct Reader {
    documents: BTreeMap<Vec<u8>, Vec<u8>>,
    last: u64,
    events: Vec<&'static str>,
}

impl Reader {
    fn take(&mut self, followed: &Followed) {
        let name = match &followed.event {
            FollowerEvent::Branches(_) => "branches",
            FollowerEvent::Snapshot(_) => "snapshot",
            FollowerEvent::Items(items) => {
                for item in items.iter() {
                    assert!(
                        item.seqno.0 > self.last,
                        "{} after {}",
                        item.seqno,
                        self.last
                    );
                    self.last = item.seqno.0;
                    let key = item.key.encoded().to_vec();
                    match &item.value {
                        Some(value) if !item.deleted => {
                            self.documents.insert(key, value.to_vec());
                        }
                        _ => {
                            self.documents.remove(&key);
                        }
                    }
                }
                "items"
            }
            FollowerEvent::SnapshotEnd(point) => {
                assert_eq!(point.seqno.0, self.last);
                "end"
            }
            FollowerEvent::RolledBack { .. } => "rolled-back",
            FollowerEvent::StateChanged(_) => "state",
            FollowerEvent::Ended(_) => "ended",
            other => panic!("an event that no test knows: {other:?}"),
        };
        self.events.push(name);
    }

    /// Reads until everything up to `seqno` is there.
    fn read_to(&mut self, follower: &mut Follower, seqno: u64) {
        while self.last < seqno {
            let followed = follower.next_for(LONG).expect("readable").expect("in time");
            self.take(&followed);
        }
    }
}

fn fill(store: &Store, from: u32, to: u32) {
    for number in from..to {
        let key = format!("key-{}", number % 37);
        let _taken = store.set(VB, &key, format!("{number}")).expect("taken");
    }
}

/// Guards R11 and S35 through the store: from disk to memory, without gap or repeat.
#[test]
fn follower_begins_on_disk_and_goes_on_in_memory() {
    for rig in Rig::each() {
        let store = rig.open();
        fill(&store, 0, 300);
        store.close().expect("a working disk");
        drop(store);
        let store = rig.open();
        let mut follower = store.follow(VB, "f", ResumePoint::START).expect("there");
        let mut reader = Reader::default();
        reader.read_to(&mut follower, 300);
        std::thread::scope(|scope| {
            scope.spawn(|| fill(&store, 300, 2_000));
            reader.read_to(&mut follower, 2_000);
        });
        assert_eq!(reader.documents.len(), 37);
        assert_eq!(reader.events[..2], ["branches", "snapshot"]);
        let point = follower.resume_point(VB).expect("it is followed");
        drop(follower);
        fill(&store, 2_000, 2_010);
        let mut again = store.follow(VB, "f", point).expect("there");
        reader.read_to(&mut again, 2_010);
        for (key, value) in &reader.documents {
            let key = lowtide_checkpoint::Key::new(&key[1..]);
            let found = store.get(VB, &key).expect("readable").expect("there");
            assert_eq!(&found.value[..], value);
        }
    }
}

/// Guards S35 under memory recovery: a follower that stalls loses its cursor and nothing else.
#[test]
fn stalled_follower_reads_from_disk_what_memory_recovery_took() {
    for rig in Rig::each() {
        let quota = QuotaConfig::default().with_limit_bytes(256 << 10);
        let store = rig.open_with(rig.options().with_quota(quota));
        let mut follower = store.follow(VB, "f", ResumePoint::START).expect("there");
        let mut reader = Reader::default();
        let mut written = 0_u64;
        for number in 0..2_000_u32 {
            let key = format!("key-{}", number % 101);
            loop {
                match store.set(VB, &key, vec![7; 500]) {
                    Ok(_) => break,
                    Err(_) => assert!(store.wait_for_memory(LONG).expect("open")),
                }
            }
            written += 1;
        }
        reader.read_to(&mut follower, written);
        assert_eq!(reader.documents.len(), 101);
    }
}

/// Guards S35 where the engine is replaced during a backfill: the pinned snapshot is of the old one,
/// whose segments the new one uses again. The disk is sound, so the follower reports no error.
#[test]
fn follower_in_a_backfill_goes_on_after_its_engine_was_replaced() {
    for rig in Rig::each() {
        let store = rig.open();
        // More than one slice, and more than memory keeps.
        let rounds = |from: u32, to: u32| {
            for number in from..to {
                let key = format!("key-{}", number % 400);
                let _taken = store.set(VB, &key, vec![7; 6_000]).expect("taken");
                if number % 50 == 0 {
                    store.flush(VB).expect("it is written in the end");
                }
            }
            store.flush(VB).expect("it is written in the end");
        };
        rounds(0, 800);
        let mut follower = store.follow(VB, "f", ResumePoint::START).expect("there");
        let mut reader = Reader::default();
        while !reader.events.contains(&"items") {
            let followed = follower.next_for(LONG).expect("readable").expect("in time");
            reader.take(&followed);
        }
        assert!(reader.last < 800, "the rest of the snapshot is to come");
        rig.disk.fail_sync(1);
        rounds(800, 4_000);
        assert!(store.stats().reopenings > 0);
        reader.read_to(&mut follower, 4_000);
        assert_eq!(reader.documents.len(), 400);
    }
}

/// Guards R11: one thread waits for many vBuckets.
#[test]
fn follower_of_many_vbuckets_gets_the_changes_of_each() {
    let rig = Rig::new(false);
    let store = rig.open_with(rig.options().with_vbuckets(200));
    let all = (0..200).map(|vb| (Vbid(vb), ResumePoint::START));
    let mut follower = store.follow_all("f", all).expect("there");
    let mut seen = vec![0_u32; 200];
    std::thread::scope(|scope| {
        for writer in 0..2_u16 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..5 {
                    for vb in 0..200_u16 {
                        let key = format!("{writer}-{round}");
                        let _taken = store.set(Vbid(vb), &key, "x").expect("taken");
                    }
                }
            });
        }
        while seen.iter().any(|&items| items < 10) {
            let followed = follower.next_for(LONG).expect("readable").expect("in time");
            if let FollowerEvent::Items(items) = &followed.event {
                seen[usize::from(followed.vb.0)] += items.iter().count() as u32;
            }
        }
    });
    assert!(seen.iter().all(|&items| items == 10));
}

/// Guards R11: closing and stepping down end the waiting.
#[test]
fn waiting_follower_ends_with_its_store_and_with_its_vbucket() {
    let rig = Rig::new(false);
    let store = rig.open();
    let mut follower = store.follow(VB, "a", ResumePoint::START).expect("there");
    let mut other = store
        .follow(Vbid(2), "b", ResumePoint::START)
        .expect("there");
    // They subscribe now: a replica serves those who come later.
    for follower in [&mut follower, &mut other] {
        while follower.poll().expect("readable").is_some() {}
    }
    std::thread::scope(|scope| {
        let stepping_down = scope.spawn(move || {
            let mut last = None;
            for followed in &mut follower {
                last = Some(followed.expect("readable"));
            }
            last
        });
        let closing = scope.spawn(move || other.by_ref().count());
        store
            .set_state(VB, State::Replica)
            .expect("an active can step down");
        let last = stepping_down.join().expect("no panic").expect("an event");
        assert!(matches!(last.event, FollowerEvent::Ended(State::Replica)));
        store.close().expect("a working disk");
        closing.join().expect("no panic");
    });
    assert!(store.follow(VB, "c", ResumePoint::START).is_err());
}

/// Guards R12: a replica in another store becomes an equal copy, and goes on after both were closed.
#[test]
fn replica_in_another_store_is_an_equal_copy() {
    for rig in Rig::each() {
        let (here, there) = (rig.open(), Rig::new(!rig.is_couchstore));
        let copy = there.open_with(there.options().with_vbuckets(0));
        copy.create_vbucket(VB, State::Replica).expect("it is new");
        fill(&here, 0, 200);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                fill(&here, 200, 1_000);
                here.delete(VB, "key-3").map(drop).expect("it is there");
                is_over.store(true, Ordering::Release);
            });
            let from = copy.resume_point(VB).expect("there");
            let mut follower = here.follow(VB, "copy", from).expect("there");
            loop {
                let done = is_over.load(Ordering::Acquire);
                let target = here.high_seqno(VB).expect("there");
                let followed = follower.next_for(LONG).expect("readable").expect("in time");
                let applied = copy.apply(VB, &followed.event).expect("it follows");
                assert_eq!(applied, Applied::Done);
                let is_end = matches!(followed.event, FollowerEvent::SnapshotEnd(_));
                if done && is_end && copy.high_seqno(VB).expect("there") == target {
                    break;
                }
            }
        });
        copy.flush(VB).expect("a working disk");
        for number in 0..37 {
            let key = format!("key-{number}");
            let original = here.get(VB, &key).expect("readable");
            assert_eq!(copy.get(VB, &key).expect("readable"), original, "{key}");
            assert_eq!(original.is_none(), number == 3);
        }
        copy.take_over(VB).expect("it has everything");
        let _taken = copy.set(VB, "mine", "now").expect("it is active");
        copy.close().expect("a working disk");
    }
}

/// Guards S37 through the store: a copy that was ahead of a crashed active goes back.
#[test]
fn replica_goes_back_when_its_active_lost_what_it_had_sent() {
    let rig = Rig::new(false);
    let there = Rig::new(false);
    let here = rig.open();
    let copy = there.open_with(there.options().with_vbuckets(0));
    copy.create_vbucket(VB, State::Replica).expect("it is new");
    let mut follower = here.follow(VB, "copy", ResumePoint::START).expect("there");
    let apply_to = |follower: &mut Follower, seqno: u64| {
        loop {
            let followed = follower.next_for(LONG).expect("readable").expect("in time");
            if let Applied::WentBack(point) = copy.apply(VB, &followed.event).expect("it follows") {
                follower.resume_from(VB, point);
                continue;
            }
            let is_end = matches!(followed.event, FollowerEvent::SnapshotEnd(_));
            if is_end && copy.high_seqno(VB).expect("there").0 == seqno {
                break;
            }
        }
    };
    let write = here.set(VB, "a", "kept").expect("taken");
    write.wait_persisted().expect("a working disk");
    apply_to(&mut follower, 1);
    copy.flush(VB).expect("a working disk");
    rig.break_disk();
    let _lost = here.set(VB, "b", "lost").expect("taken");
    let _lost = here.set(VB, "c", "lost").expect("taken");
    apply_to(&mut follower, 3);
    copy.flush(VB).expect("a working disk");
    drop(follower);
    drop(here);
    rig.disk.clear_faults();
    rig.disk
        .crash(lowtide_persistence::disk::PowerLoss::DropUnsynced);

    let here = rig.open();
    let _taken = here.set(VB, "d", "new").expect("taken");
    let from = copy.resume_point(VB).expect("there");
    let mut follower = here.follow(VB, "copy", from).expect("there");
    apply_to(&mut follower, 2);
    copy.flush(VB).expect("a working disk");
    for key in ["a", "b", "c", "d"] {
        let original = here.get(VB, key).expect("readable");
        assert_eq!(copy.get(VB, key).expect("readable"), original, "{key}");
    }
}
