//! A follower of all vBuckets that reads everything from disk, just after the store was opened; then
//! the engine's own scans of the same, in slices as large. The files are in the system's cache.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use lowtide_checkpoint::{ResumePoint, Seqno, Vbid};
use lowtide_persistence::{FollowerEvent, ScanLimit, Store};

use super::engines::{EngineKind, VBUCKETS, document, flush, set};
use super::{Arguments, Medians};
use crate::store::storage;

/// The size of a follower's slice.
const SLICE: ScanLimit = ScanLimit::new(4_096, 1 << 20);
const LONG: Duration = Duration::from_secs(60);

pub fn run(arguments: &Arguments, dir: &Path) {
    let items = arguments.backfill_items;
    let title = format!("a follower reads {items} documents from disk");
    let mut table = Medians::new(
        &title,
        &[
            "documents/s",
            "engine's scans, documents/s",
            "follower / scans",
        ],
    );
    for kind in EngineKind::wanted(&arguments.engines) {
        let dir = storage::new_dir(dir);
        let store = kind.open(dir.path(), kind.options());
        for n in 0..items {
            let document = document(n, 0);
            set(&store, document.vb, &document.key, &document.value);
        }
        flush(&store);
        store.close().expect("a working disk");
        let lives: Vec<_> = (1..=arguments.runs)
            .map(|run| {
                eprintln!("backfill, run {run}: {}", kind.name());
                let store = Store::open(dir.path(), kind.options()).expect("opens");
                let rate = read(&store, items);
                let alone = scanned(&store, items);
                store.close().expect("a working disk");
                vec![rate, alone, rate / alone]
            })
            .collect();
        table.row(kind.name(), &lives);
    }
    table.print();
}

fn read(store: &Store, count: u64) -> f64 {
    let started = Instant::now();
    let all = (0..VBUCKETS).map(|vb| (Vbid(vb), ResumePoint::START));
    let mut follower = store.follow_all("reader", all).expect("open");
    let mut seen = 0;
    while seen < count {
        let followed = follower.next_for(LONG).expect("open").expect("in time");
        if let FollowerEvent::Items(items) = followed.event {
            for item in items.iter() {
                black_box(item.value.as_deref().and_then(|value| value.last()));
                seen += 1;
            }
        }
    }
    seen as f64 / started.elapsed().as_secs_f64()
}

fn scanned(store: &Store, count: u64) -> f64 {
    let started = Instant::now();
    let mut seen = 0;
    for vb in (0..VBUCKETS).map(Vbid) {
        let snapshot = store.snapshot(vb).expect("open");
        let mut next = Some(Seqno(1));
        while let Some(from) = next {
            let slice = snapshot.scan(from, snapshot.high(), SLICE).expect("sound");
            for item in &slice.items {
                black_box(item.value.as_deref().and_then(|value| value.last()));
                seen += 1;
            }
            next = slice.next;
        }
    }
    assert!(seen >= count, "everything");
    seen as f64 / started.elapsed().as_secs_f64()
}
