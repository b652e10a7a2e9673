//! The world of one sequence: a manager, its naive model, and everything that is still held.
//!
//! A step runs on both and compares the answers at once.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, CheckpointManager, Cursor, CursorBatch, CursorOptions, Flush, Item, Key, Operation,
    PERSISTENCE, ReadLimit, Role, Seqno, SnapshotMarker, SnapshotType,
};
use proptest::prelude::*;

use crate::compare::{Step, answer, kind, same};
use crate::naive::{Naive, Progress};
use crate::ops::{At, Op, Setup};

/// Batches held at most, so that memory stays bounded.
const BATCHES_MAX: usize = 4;
static VALUE: [u8; 150_000] = [7; 150_000];

pub struct World {
    pub manager: CheckpointManager,
    pub naive: Naive,
    cursors: BTreeMap<String, Cursor>,
    stale: Vec<Cursor>,
    /// Flushes, each with its expected items and whether `clear` made it void.
    pub flushes: Vec<(Flush, Vec<Item>, bool)>,
    pub batches: Vec<(CursorBatch, Vec<Item>)>,
    steps: u64,
}

impl World {
    pub fn new(setup: &Setup, overhead_bytes: usize) -> Self {
        let Setup { config, high } = setup;
        let manager = CheckpointManager::new(config.clone(), *high);
        let mut naive = Naive::new(config.role, *high, config.max_bytes, overhead_bytes);
        if config.persistence {
            let start = Progress {
                passed: 0,
                seqno: *high,
                droppable: false,
            };
            naive.cursors.insert(PERSISTENCE.to_owned(), start);
        }
        Self {
            manager,
            naive,
            cursors: BTreeMap::new(),
            stale: Vec::new(),
            flushes: Vec::new(),
            batches: Vec::new(),
            steps: 0,
        }
    }

    pub fn step(&mut self, op: &Op) -> Step {
        self.steps += 1;
        match op {
            Op::Queue {
                operation,
                key,
                size,
                history,
                at,
                disk,
                prepare,
            } => {
                let seqno = self.seqno(*at, *disk)?;
                let ends = matches!(operation, Operation::Commit | Operation::Abort);
                let item = Item {
                    seqno,
                    cas: Cas(self.steps),
                    history: *history,
                    prepare_seqno: prepare
                        .filter(|_| ends)
                        .map_or(Seqno::ZERO, |below| self.above(below)),
                    value: (*size > 0).then(|| Bytes::from_static(&VALUE[..*size])),
                    ..Item::new(*operation, Key::new(format!("k{key}").as_bytes()))
                };
                self.queue(item)
            }
            Op::VBucketState { state, with_seqno } => {
                let seqno = if *with_seqno {
                    self.above(1)
                } else {
                    Seqno::ZERO
                };
                let item = Item::new(Operation::SetVBucketState(*state), Key::new(b""));
                self.queue(Item { seqno, ..item })
            }
            Op::Close => {
                self.manager.close();
                self.naive.close();
                Ok(())
            }
            Op::Marker {
                kind,
                skip,
                length,
                visible,
                hcs,
                hps,
                purge,
                extend,
                history,
            } => {
                let start = self.above(*skip);
                let at = |offset: i64| Seqno(start.0.saturating_add_signed(offset));
                let end = at(*length);
                self.marker(SnapshotMarker {
                    visible: visible.map(|offset| Seqno(end.0.saturating_add_signed(offset))),
                    high_completed_seqno: hcs.then_some(start),
                    high_prepared_seqno: hps
                        .map(|offset| Seqno(end.0.saturating_add_signed(offset))),
                    purge_seqno: purge.then_some(start),
                    extend: *extend,
                    history: *history,
                    ..SnapshotMarker::new(*kind, start, end)
                })
            }
            Op::Register {
                name,
                after,
                droppable,
            } => self.register(&cursor_name(*name), *after, *droppable),
            Op::Unregister { name } => self.unregister(&cursor_name(*name)),
            Op::Read { name, limit, keep } => self.read(&cursor_name(*name), *limit, *keep),
            Op::Stale => self.use_stale_handles(),
            Op::FlushBegin { limit, to_boundary } => self.begin_flush(*limit, *to_boundary),
            Op::FlushEnd { which, success } => {
                self.end_flush(*which, *success);
                Ok(())
            }
            Op::Expel => same(self.manager.expel(), self.naive.expel()),
            Op::Recover { bytes } => self.recover(*bytes),
            Op::Clear { to } => {
                let high = self.above(*to);
                self.manager.clear(high);
                self.naive.clear(high);
                self.flushes.iter_mut().for_each(|flush| flush.2 = true);
                Ok(())
            }
            Op::Role(role) => {
                self.manager.set_role(*role);
                self.naive.set_role(*role);
                Ok(())
            }
            Op::DropBatches => {
                self.batches.clear();
                Ok(())
            }
        }
    }

    fn above(&self, offset: i64) -> Seqno {
        Seqno(self.naive.high.0.saturating_add_signed(offset))
    }

    /// Returns the seqno to offer. A replica whose snapshot has no room for it gets a marker first.
    fn seqno(&mut self, at: At, disk: bool) -> Result<Seqno, TestCaseError> {
        let is_active = self.naive.role == Role::Active;
        match at {
            At::Right(_) if is_active => Ok(Seqno::ZERO),
            At::Right(gap) => {
                let seqno = self.above(1 + gap as i64);
                let range = self.naive.range(self.naive.open());
                if seqno < range.start || seqno > range.end {
                    let kind = if disk {
                        SnapshotType::Disk
                    } else {
                        SnapshotType::Memory
                    };
                    let marker = SnapshotMarker::new(kind, self.above(1), Seqno(seqno.0 + 5));
                    self.marker(SnapshotMarker {
                        high_completed_seqno: Some(Seqno(1)),
                        ..marker
                    })?;
                }
                Ok(seqno)
            }
            At::Wrong if is_active => Ok(self.above(1)),
            At::Wrong => Ok(Seqno::ZERO),
            At::Below(by) => Ok(self.above(-(by as i64))),
            At::Above(by) => Ok(self.above(by as i64)),
        }
    }

    fn queue(&mut self, item: Item) -> Step {
        same(
            kind(self.manager.queue(item.clone())).map(|queued| (queued.seqno, queued.effect)),
            self.naive.queue(item),
        )
    }

    fn marker(&mut self, marker: SnapshotMarker) -> Step {
        same(
            kind(self.manager.snapshot(marker)),
            self.naive.snapshot(marker),
        )
    }

    fn register(&mut self, name: &str, after: i64, droppable: bool) -> Step {
        let after = self.above(after);
        let got =
            self.manager
                .register(name, after, CursorOptions::new().with_droppable(droppable));
        let expected = self.naive.register(name, after, droppable);
        same(
            kind(got.clone().map(|got| (got.next, got.backfill))),
            expected,
        )?;
        if let Ok(registration) = got {
            self.stale
                .extend(self.cursors.insert(name.to_owned(), registration.cursor));
        }
        Ok(())
    }

    fn unregister(&mut self, name: &str) -> Step {
        if let Some(cursor) = self.cursors.remove(name) {
            same(kind(self.manager.unregister(cursor)), Ok(()))?;
            self.naive.unregister(name);
            self.stale.push(cursor);
        } else if let Some(cursor) = self.manager.cursor(name) {
            same(
                kind(self.manager.unregister(cursor)),
                Err("invalid-argument"),
            )?;
        }
        Ok(())
    }

    fn read(&mut self, name: &str, limit: ReadLimit, keep: bool) -> Step {
        let Some(&cursor) = self.cursors.get(name) else {
            return Ok(());
        };
        match (
            kind(self.manager.read(cursor, limit)),
            self.naive.read(name, limit),
        ) {
            (Ok(batch), Ok(expected)) => {
                same(&answer(&batch), &expected)?;
                if keep {
                    self.batches.push((batch, expected.items));
                    self.batches
                        .drain(..self.batches.len().saturating_sub(BATCHES_MAX));
                }
                Ok(())
            }
            (got, expected) => same(got.map(|batch| answer(&batch)), expected),
        }
    }

    fn recover(&mut self, bytes: usize) -> Step {
        let got = self.manager.recover_memory(bytes);
        let dropped: Vec<_> = got
            .cursors_dropped
            .iter()
            .map(ToString::to_string)
            .collect();
        for name in &dropped {
            self.stale.extend(self.cursors.remove(name));
        }
        let got = (
            got.checkpoints_created,
            got.expelled,
            dropped,
            got.freed_bytes,
        );
        same(got, self.naive.recover(bytes))
    }

    fn use_stale_handles(&mut self) -> Step {
        for &cursor in &self.stale {
            same(
                kind(self.manager.read(cursor, ReadLimit::NONE)).map(drop),
                Err("unknown-cursor"),
            )?;
            same(kind(self.manager.remaining(cursor)), Err("unknown-cursor"))?;
            same(kind(self.manager.unregister(cursor)), Err("unknown-cursor"))?;
        }
        Ok(())
    }

    fn begin_flush(&mut self, limit: ReadLimit, to_boundary: bool) -> Step {
        let begun = match to_boundary {
            true => self.manager.begin_flush_to_boundary(limit),
            false => self.manager.begin_flush(limit),
        };
        match (kind(begun), self.naive.begin_flush(limit, to_boundary)) {
            (Ok(flush), Ok(expected)) => {
                same(&answer(flush.batch()), &expected)?;
                self.flushes.push((flush, expected.items, false));
                Ok(())
            }
            (got, expected) => same(got.map(|flush| answer(flush.batch())), expected),
        }
    }

    fn end_flush(&mut self, which: usize, success: bool) {
        if self.flushes.is_empty() {
            return;
        }
        let (flush, _, void) = self.flushes.swap_remove(which % self.flushes.len());
        match (success, which % 2) {
            (true, _) => flush.commit(),
            (false, 0) => flush.fail(),
            (false, _) => drop(flush),
        }
        if !void {
            self.naive.end_flush(success);
        }
    }
}

fn cursor_name(number: u8) -> String {
    ["indexer", "dcp", "b", PERSISTENCE][usize::from(number)].to_owned()
}
