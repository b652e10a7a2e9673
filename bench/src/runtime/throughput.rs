//! Writes that do not wait, until all are persisted; then the same commits by the engine alone.
//!
//! A wrapper records how many items of which vBuckets each commit has. The engine alone repeats
//! exactly these commits, from items made before: by one thread, and by as many as the store has
//! flushers.

use std::path::Path;
use std::time::Instant;

use lowtide_checkpoint::{Item, Key, QuotaConfig, Seqno};
use lowtide_persistence::StoreOptions;
use lowtide_persistence::couchstore::CouchstoreConfig;

use super::engines::{Document, EngineKind, VBUCKETS, document, flush, logstor, set};
use super::recording::{Record, Recording, Sizes, repeat};
use super::{Arguments, Medians};
use crate::store::storage;

const FLUSHERS: usize = 2;
const COLUMNS: [&str; 7] = [
    "taken, documents/s",
    "persisted, documents/s",
    "engine alone, a thread",
    "engine alone, two threads",
    "persisted / a thread",
    "persisted / two threads",
    "documents of a commit",
];

pub fn run(arguments: &Arguments, dir: &Path) {
    let documents: Vec<Document> = (0..arguments.items).map(|n| document(n, 0)).collect();
    let mut table = Medians::new("writes that do not wait, until all are persisted", &COLUMNS);
    table.rows(arguments, |kind| {
        life(kind, dir, &documents, arguments.quota_mib)
    });
    table.print();
}

fn life(kind: EngineKind, dir: &Path, documents: &[Document], quota_mib: usize) -> Vec<f64> {
    let record = Record::default();
    let count = documents.len() as f64;
    let [taken, persisted] = {
        let dir = storage::new_dir(dir);
        let quota = QuotaConfig::default().with_limit_bytes(quota_mib << 20);
        let store = kind.open(dir.path(), recorded(kind, &record).with_quota(quota));
        record.take();
        let started = Instant::now();
        for document in documents {
            set(&store, document.vb, &document.key, &document.value);
        }
        let taken = started.elapsed();
        flush(&store);
        let rates = [taken, started.elapsed()].map(|took| count / took.as_secs_f64());
        store.close().expect("a working disk");
        rates
    };
    let commits = record.take();
    let [one, two] = [1, FLUSHERS].map(|threads| {
        let took = alone(kind, dir, documents, &commits, threads);
        count / took.as_secs_f64()
    });
    let commits = commits.len() as f64;
    vec![
        taken,
        persisted,
        one,
        two,
        persisted / one,
        persisted / two,
        count / commits,
    ]
}

fn recorded(kind: EngineKind, record: &Record) -> StoreOptions {
    let record = record.clone();
    let options = match kind {
        EngineKind::Logstor => StoreOptions::new(Recording {
            inner: logstor(),
            record,
        }),
        EngineKind::Couchstore => StoreOptions::new(Recording {
            inner: CouchstoreConfig::default(),
            record,
        }),
    };
    options.with_vbuckets(VBUCKETS).with_flushers(FLUSHERS)
}

/// Repeats the commits on a new engine.
fn alone(
    kind: EngineKind,
    dir: &Path,
    documents: &[Document],
    commits: &[Sizes],
    threads: usize,
) -> std::time::Duration {
    let dir = storage::new_dir(dir);
    let engine = kind.open_engine(dir.path());
    let mut items: Vec<Vec<Item>> = (0..VBUCKETS).map(|_| Vec::new()).collect();
    for document in documents {
        let items = &mut items[usize::from(document.vb.0)];
        let seqno = Seqno(items.len() as u64 + 1);
        let item = Item::mutation(Key::new(&document.key), document.value.clone());
        items.push(Item { seqno, ..item });
    }
    let took = repeat(&*engine, commits, &items, threads);
    engine.close().expect("closes");
    took
}
