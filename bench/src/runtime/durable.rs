//! Writes of threads that each wait until their write is on disk.
//!
//! A thread of fjall's writes and then persists the journal, which is how its documentation makes a
//! write durable. It has one keyspace, and so one index; ours has an index by seqno as well.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use lowtide_checkpoint::{Item, Key, Seqno, VBucketState, Vbid};
use lowtide_persistence::{CommitBatch, Engine, Store};

use super::engines::{EngineKind, document};
use super::{Arguments, Medians};
use crate::engines::{memory, ours};
use crate::store::storage;

/// A store that many threads write to.
trait Peer: Sync {
    /// Writes a document. It is on disk when this returns.
    fn write(&self, n: u64);

    /// Returns the most threads that are measured.
    fn threads_max(&self) -> usize {
        usize::MAX
    }
}

impl Peer for Store {
    fn write(&self, n: u64) {
        let document = document(n, 0);
        let write = self.set(document.vb, &document.key, document.value);
        write
            .and_then(|write| write.wait_persisted())
            .expect("a working disk");
    }
}

struct Fjall {
    database: Database,
    documents: Keyspace,
    mode: PersistMode,
}

impl Fjall {
    fn open(dir: &Path, mode: PersistMode) -> Self {
        let database = Database::builder(dir.join("fjall"))
            .cache_size(memory().cache_bytes as u64)
            .open()
            .expect("opens");
        let documents = database
            .keyspace("documents", KeyspaceCreateOptions::default)
            .expect("opens");
        Self {
            database,
            documents,
            mode,
        }
    }
}

impl Peer for Fjall {
    fn write(&self, n: u64) {
        let document = document(n, 0);
        self.documents
            .insert(document.key, &document.value[..])
            .expect("writes");
        self.database.persist(self.mode).expect("a working disk");
    }
}

/// The engine without a store: a commit for each document, by one thread.
struct Alone {
    engine: Arc<dyn Engine>,
    high: Mutex<BTreeMap<Vbid, Seqno>>,
}

impl Peer for Alone {
    fn threads_max(&self) -> usize {
        1
    }

    fn write(&self, n: u64) {
        let document = document(n, 0);
        let mut high = self.high.lock().expect("no thread panics");
        let seqno = high.entry(document.vb).or_default();
        *seqno = seqno.next();
        let item = Item {
            seqno: *seqno,
            ..Item::mutation(Key::new(&document.key), document.value)
        };
        let state = VBucketState {
            snapshot_end: *seqno,
            ..ours::state()
        };
        let batch = [&item];
        let batch = CommitBatch::new(document.vb, &batch, &state).with_timestamp(1);
        for result in self.engine.commit(&[batch]) {
            result.expect("a working disk");
        }
    }
}

type Open = Box<dyn Fn(&Path) -> Box<dyn Peer>>;

pub fn run(arguments: &Arguments, dir: &Path) {
    let ours = EngineKind::wanted(&arguments.engines).into_iter();
    let ours = ours.map(|kind| -> (&str, Open) {
        let open = move |dir: &Path| -> Box<dyn Peer> { Box::new(kind.open(dir, kind.options())) };
        (kind.name(), Box::new(open))
    });
    let alone = EngineKind::wanted(&arguments.engines).into_iter();
    let alone = alone.map(|kind| -> (&str, Open) {
        let name = match kind {
            EngineKind::Logstor => "logstor, the engine alone",
            EngineKind::Couchstore => "couchstore, the engine alone",
        };
        let open = move |dir: &Path| -> Box<dyn Peer> {
            Box::new(Alone {
                engine: kind.open_engine(dir),
                high: Mutex::default(),
            })
        };
        (name, Box::new(open))
    });
    let theirs = [
        ("fjall, SyncAll", PersistMode::SyncAll),
        ("fjall, SyncData", PersistMode::SyncData),
    ];
    let theirs = theirs.map(|(name, mode)| -> (&str, Open) {
        (
            name,
            Box::new(move |dir: &Path| Box::new(Fjall::open(dir, mode))),
        )
    });
    let peers: Vec<(&str, Open)> = ours.chain(theirs).chain(alone).collect();
    let mut lives: Vec<Vec<Vec<f64>>> = peers.iter().map(|_| Vec::new()).collect();
    for run in 0..arguments.runs {
        for ((name, open), lives) in peers.iter().zip(&mut lives) {
            eprintln!("durable, run {run}: {name}");
            let dir = storage::new_dir(dir);
            let peer = open(dir.path());
            let lasts = Duration::from_secs(arguments.seconds);
            let rates = arguments.threads.iter().map(|&threads| {
                if threads > peer.threads_max() {
                    return f64::NAN;
                }
                measured(&*peer, threads, lasts)
            });
            lives.push(rates.collect());
        }
    }
    let columns = arguments.threads.iter();
    let columns: Vec<String> = columns
        .map(|threads| format!("{threads} threads"))
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Medians::new("writes a second that wait until they are on disk", &columns);
    for ((name, _), lives) in peers.iter().zip(&lives) {
        table.row(name, lives);
    }
    table.print();
}

/// Returns writes a second.
fn measured(peer: &dyn Peer, threads: usize, lasts: Duration) -> f64 {
    let start = Barrier::new(threads + 1);
    let is_over = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let mut started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads as u64 {
            let (start, is_over, written) = (&start, &is_over, &written);
            scope.spawn(move || {
                start.wait();
                let numbers = (threads as u64) << 48 | thread << 32..;
                let mut count = 0;
                for n in numbers {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    peer.write(n);
                    count += 1;
                }
                written.fetch_add(count, Ordering::Relaxed);
            });
        }
        start.wait();
        started = Instant::now();
        std::thread::park_timeout(lasts);
        is_over.store(true, Ordering::Relaxed);
    });
    written.into_inner() as f64 / started.elapsed().as_secs_f64()
}
