//! Visits of rows: they show the rows of a scan, whole frames at a time.

use std::ops::ControlFlow;

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{CompactionRequest, Engine, Snapshot};
use crate::disk::MemoryDisk;
use crate::logstor::index::Slot;
use crate::logstor::tests::support::{
    A, SMALL, commit, contents_of, delete, noise, open_with, run, set,
};
use crate::logstor::vbucket::{ReadBuffer, read_rows, visit_rows};
use crate::logstor::{Logstor, LogstorConfig};

/// More rows than one lookup takes, in frames of several hundred. Some are rewritten, some large,
/// some deleted.
fn store() -> Logstor {
    let config = LogstorConfig {
        disk_bytes: 64 << 20,
        ..SMALL
    };
    let (engine, _) = open_with(&MemoryDisk::new(), config).expect("opens");
    engine.create(A).expect("created");
    let mut seqno = 0;
    for batch in 0..30_u64 {
        let items: Vec<Item> = (0..400)
            .map(|n| {
                seqno += 1;
                let key = format!("key-{}", (batch * 331 + n * 7) % 6000);
                match (batch, n) {
                    (7, 5) => set(seqno, "large", &noise(seqno, 200_000)),
                    (_, 9) => delete(seqno, &key),
                    _ => set(seqno, &key, &noise(seqno, 60)),
                }
            })
            .collect();
        commit(&engine, A, &items).expect("committed");
        if batch == 15 {
            run(engine
                .compact(A, CompactionRequest::default())
                .expect("begun"))
            .expect("compacted");
        }
    }
    engine
}

fn shown(snapshot: &dyn Snapshot, from: u64, to: u64, most: usize) -> Vec<Item> {
    let mut seen = Vec::new();
    let result = snapshot.visit(Seqno(from), Seqno(to), &mut |item| {
        seen.push(item.to_item().expect("a whole key"));
        if seen.len() < most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    result.expect("readable");
    seen
}

#[test]
fn visit_shows_what_a_scan_returns() {
    let engine = store();
    let snapshot = engine.snapshot(A).expect("there");
    let expected: Vec<Item> = contents_of(&*snapshot).into_values().collect();
    assert!(
        expected.len() > 4096,
        "{} rows are looked up more than once",
        expected.len()
    );
    assert_eq!(shown(&*snapshot, 0, u64::MAX, usize::MAX), expected);
    for most in [1, 4095, 4096, 4097] {
        assert_eq!(shown(&*snapshot, 0, u64::MAX, most), expected[..most]);
    }
    let (from, to) = (expected[100].seqno.0, expected[4300].seqno.0);
    assert_eq!(
        shown(&*snapshot, from, to, usize::MAX),
        expected[100..=4300]
    );
}

/// L27: the index and the record agree on seqno and length.
#[test]
fn row_that_names_another_record_is_reported() {
    let engine = store();
    let vbucket = engine.store.registry.loaded(A).expect("there");
    let changes: [fn(&mut Slot); 3] = [
        |slot| slot.seqno += 1_000_000,
        |slot| slot.location.len += 1,
        |slot| slot.location.len -= 1,
    ];
    for change in changes {
        let mut rows = vbucket.rows(&vbucket.view(), 0, u64::MAX, 50);
        change(&mut rows.slots[7]);
        let context = &engine.store.context;
        let mut buffer = ReadBuffer::default();
        let mut go_on = |_: lowtide_checkpoint::ItemRef<'_>| ControlFlow::Continue(());
        let shown = visit_rows(&rows, true, context, &mut buffer, &mut go_on);
        assert_eq!(shown.expect_err("another record").kind(), "corrupt");
        let read = read_rows(&rows, context, &mut buffer, &mut Vec::new());
        assert_eq!(read.expect_err("another record").kind(), "corrupt");
    }
}
