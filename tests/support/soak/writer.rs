//! One of a store's writers: it writes its own keys, waits for some of the writes, and reads them
//! back.
//!
//! # Invariants
//!
//! - Each write is announced before it is made, and reported before the next one is announced.
//! - D1. A read returns the writer's newest write, since no other thread writes its keys.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::{Change, Store, StoreError, Write};

use super::lines::Line;
use super::plan::{self, KEYS, LONG, VALUE_BYTES_MAX, VBUCKETS};
use super::progress::Progress;
use super::told::{bad, tell};
use crate::killing::draw;

/// Maximum number of writes before a wait.
const BATCH_MAX: u64 = 24;

/// Digests by vBucket and key; 0 for no document.
pub(super) type Documents = BTreeMap<(Vbid, u64), u64>;

pub(super) struct Writer<'a> {
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
    pub(super) number: u64,
    pub(super) seed: u64,
    /// The documents, also those of other writers.
    pub(super) documents: Documents,
}

impl Writer<'_> {
    /// Writes until `writes` were made.
    pub(super) fn run(mut self, writes: u64) {
        let mut left = writes;
        while left > 0 {
            let batch = (1 + draw(&mut self.seed, BATCH_MAX)).min(left);
            left -= batch;
            let taken: Vec<_> = (0..batch).filter_map(|_| self.write()).collect();
            self.wait(&taken);
            self.read();
        }
    }

    fn draw_key(&mut self) -> (Vbid, u64) {
        let vb = draw(&mut self.seed, u64::from(VBUCKETS));
        let vb = Vbid(u16::try_from(vb).expect("a vBucket"));
        let number = draw(&mut self.seed, KEYS);
        (vb, plan::key(self.number, number))
    }

    fn write(&mut self) -> Option<Write> {
        let (vb, key) = self.draw_key();
        let is_there = self.digest_of(vb, key) != 0;
        let value: Vec<u8> = match draw(&mut self.seed, 8) {
            0 if is_there => Vec::new(),
            _ => {
                let length = 1 + draw(&mut self.seed, VALUE_BYTES_MAX);
                let seed = &mut self.seed;
                let words = std::iter::repeat_with(|| draw(seed, u64::MAX));
                words
                    .flat_map(u64::to_be_bytes)
                    .take(usize::try_from(length).expect("short"))
                    .collect()
            }
        };
        self.make(vb, key, value)
    }

    /// Writes a value, or deletes the document if it is empty.
    pub(super) fn make(&mut self, vb: Vbid, key: u64, value: Vec<u8>) -> Option<Write> {
        let name = plan::name_of(key);
        let (digest, change) = if value.is_empty() {
            (0, Change::delete(&name))
        } else {
            (plan::digest(&value), Change::set(&name, value))
        };
        tell(&[Line::Intent { vb, key, digest }]);
        let taken = loop {
            match self.store.write(vb, change.clone()) {
                Err(StoreError::NoMemory { .. }) => {
                    tell(&[Line::count("waits-for-memory", 1)]);
                    match self.store.wait_for_memory(LONG) {
                        Ok(true) => {}
                        other => bad(format!("no memory for {LONG:?}: {other:?}")),
                    }
                }
                result => break result,
            }
        };
        match taken {
            Ok(write) => {
                let seqno = write.seqno().0;
                tell(&[Line::Taken { key, seqno }]);
                self.documents.insert((vb, key), digest);
                self.progress.add();
                Some(write)
            }
            Err(StoreError::Engine(_)) => {
                let refused = Line::Refused { key };
                tell(&[refused, Line::count("failed-look-ups", 1)]);
                None
            }
            Err(error) => bad(format!("vBucket {vb}: write of key {key}: {error}")),
        }
    }

    /// Waits for the writes, or for some of them, in a thread or in a task.
    fn wait(&mut self, taken: &[Write]) {
        let Some(last) = taken.last() else {
            return;
        };
        let waited: &[Write] = match draw(&mut self.seed, 5) {
            0 => &[],
            1 => std::slice::from_ref(last),
            _ => taken,
        };
        let in_task = draw(&mut self.seed, 3) == 0;
        for write in waited {
            let waited = if in_task {
                block_on(write.persisted()).map(|()| true)
            } else {
                write.wait_persisted_for(LONG)
            };
            let (vb, seqno) = (write.vb(), write.seqno().0);
            match waited {
                Ok(true) => tell(&[Line::Acked { vb, seqno }]),
                Ok(false) => bad(format!("vBucket {vb}: {seqno} not persisted in {LONG:?}")),
                Err(error) => bad(format!("vBucket {vb}: waiting for {seqno}: {error}")),
            }
        }
    }

    /// Reads one of the writer's documents.
    fn read(&mut self) {
        let (vb, key) = self.draw_key();
        let found = match self.store.get(vb, &plan::name_of(key)) {
            Ok(found) => found.map_or(0, |found| plan::digest(&found.value)),
            Err(StoreError::Engine(_)) => return tell(&[Line::count("failed-look-ups", 1)]),
            Err(error) => bad(format!("vBucket {vb}: read of key {key}: {error}")),
        };
        let expected = self.digest_of(vb, key);
        if found != expected {
            let text = format!("vBucket {vb}: key {key} reads as {found}, written was {expected}");
            bad(text);
        }
        tell(&[Line::count("reads", 1)]);
    }

    fn digest_of(&self, vb: Vbid, key: u64) -> u64 {
        self.documents.get(&(vb, key)).copied().unwrap_or_default()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a task in this thread.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match task.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
