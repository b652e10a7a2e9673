//! Fixtures of the log store's models: a small store on a disk in memory whose reads and writes
//! take turns. So loom runs other threads between a look at the index and the read that follows it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use lowtide_checkpoint::{
    FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::disk::{
    Access, Disk, DiskDirectory, DiskFile, DiskLock, DiskResult, MemoryDisk,
};
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Budget, CommitBatch, Engine, Job, JobProgress};

use crate::Turn;

/// A segment has room for one record of [`BIG`] bytes, or a few small ones.
const CONFIG: LogstorConfig = LogstorConfig::new([1, 2])
    .with_segment_bytes(8 << 10)
    .with_file_bytes(128 << 10);

/// A value that fills a segment.
pub const BIG: usize = 7_000;

/// A disk whose reads and writes take turns, once turns are switched on.
#[derive(Clone, Debug)]
pub struct TurnDisk {
    memory: MemoryDisk,
    turn: Turn,
    on: Arc<AtomicBool>,
}

impl TurnDisk {
    /// Returns an empty disk.
    #[expect(
        clippy::new_without_default,
        reason = "it makes sense only inside a model"
    )]
    pub fn new() -> Self {
        Self {
            memory: MemoryDisk::new(),
            turn: Turn::new(),
            on: Arc::default(),
        }
    }

    /// Switches turns on or off.
    pub fn take_turns(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(TurnFile {
            file,
            disk: self.clone(),
        })
    }

    fn turn(&self) {
        if self.on.load(Ordering::SeqCst) {
            self.turn.take();
        }
    }
}

impl Disk for TurnDisk {
    fn open(&self, path: &Path, access: Access) -> DiskResult<Arc<dyn DiskFile>> {
        Ok(self.file(self.memory.open(path, access)?))
    }

    fn create(&self, path: &Path) -> DiskResult<Arc<dyn DiskFile>> {
        Ok(self.file(self.memory.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.memory.rename(from, to)
    }

    fn remove(&self, path: &Path) -> DiskResult<()> {
        self.memory.remove(path)
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<String>> {
        self.memory.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> DiskResult<()> {
        self.memory.create_dir(dir)
    }

    fn lock(&self, dir: &Path) -> DiskResult<Box<dyn DiskLock>> {
        self.memory.lock(dir)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        self.memory.sync_dir(dir)
    }

    fn open_dir(&self, dir: &Path) -> DiskResult<Arc<dyn DiskDirectory>> {
        self.memory.open_dir(dir)
    }
}

#[derive(Debug)]
struct TurnFile {
    file: Arc<dyn DiskFile>,
    disk: TurnDisk,
}

impl DiskFile for TurnFile {
    fn len(&self) -> DiskResult<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> DiskResult<()> {
        self.file.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64) -> DiskResult<()> {
        self.file.preallocate(offset, len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> DiskResult<usize> {
        self.disk.turn();
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        self.disk.turn();
        self.file.write_at(parts, offset)
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.file.sync_data()
    }
}

/// Opens the store on a disk.
///
/// # Panics
///
/// If it does not open.
pub fn open(disk: &TurnDisk) -> Arc<Logstor> {
    open_with(disk, CONFIG)
}

/// Same as [`open`], with a cache of one block.
///
/// # Panics
///
/// Same as [`open`].
pub fn open_with_small_cache(disk: &TurnDisk) -> Arc<Logstor> {
    open_with(disk, CONFIG.with_cache_bytes(4 << 10))
}

fn open_with(disk: &TurnDisk, config: LogstorConfig) -> Arc<Logstor> {
    let (engine, report) =
        Logstor::open(Arc::new(disk.clone()), Path::new("/store"), config).expect("it opens");
    assert_eq!(report.repairs, []);
    Arc::new(engine)
}

/// Commits a key for each of several vBuckets, in one group, with values of the given sizes.
///
/// # Panics
///
/// If one is refused.
pub fn commit(engine: &Logstor, batches: &[(Vbid, u64, &str, usize)]) {
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
    let items: Vec<Item> = batches
        .iter()
        .map(|&(_, seqno, key, bytes)| item(seqno, key, bytes))
        .collect();
    let refs: Vec<[&Item; 1]> = items.iter().map(|item| [item]).collect();
    let parts = batches.iter().zip(&refs);
    let batches: Vec<CommitBatch<'_>> = parts
        .map(|(&(vb, ..), items)| CommitBatch::new(vb, items, &state).with_timestamp(1))
        .collect();
    for result in engine.commit(&batches) {
        let _committed = result.expect("committed");
    }
}

fn item(seqno: u64, key: &str, bytes: usize) -> Item {
    let value = Bytes::from(vec![seqno as u8; bytes]);
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key.as_bytes()), value)
    }
}

/// Returns the seqno and the value's length of a key.
///
/// # Panics
///
/// If it can't be read, or its value belongs to another key.
pub fn get(engine: &Logstor, vb: Vbid, key: &str) -> Option<(u64, usize)> {
    let found = engine
        .get(vb, Namespace::Committed, &Key::new(key.as_bytes()))
        .expect("readable")?;
    let value = found.value.unwrap_or_default();
    assert!(
        value.iter().all(|byte| u64::from(*byte) == found.seqno.0),
        "another's value"
    );
    Some((found.seqno.0, value.len()))
}

/// Runs a job to its end.
///
/// # Panics
///
/// If it fails.
pub fn run(mut job: Box<dyn Job>) {
    while !matches!(
        job.step(Budget::NONE).expect("nothing fails"),
        JobProgress::Done(_)
    ) {}
}

/// Checks the store while no thread is inside, also after opening it again.
///
/// # Panics
///
/// If it does not hold what it must.
pub fn assert_holds(
    disk: &TurnDisk,
    engine: Arc<Logstor>,
    expected: &[(Vbid, &str, (u64, usize))],
) {
    disk.take_turns(false);
    let holds = |engine: &Logstor| {
        for &(vb, key, value) in expected {
            assert_eq!(get(engine, vb, key), Some(value), "vBucket {vb}, {key}");
            assert_eq!(engine.check(vb).expect("readable"), [""; 0]);
        }
    };
    holds(&engine);
    engine.close().expect("closed");
    drop(engine);
    holds(&open(disk));
}
