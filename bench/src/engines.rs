//! Storage engines behind one trait: commits of items, gets by key and scans by seqno.
//!
//! Every engine keeps both indexes and changes them in one atomic commit, with the entry of the
//! superseded seqno removed. The peers keep key -> seqno and seqno -> (key, value): a scan reads
//! one table in order, a get looks up twice. Couchstore keeps the body apart, and both trees point
//! to it; logstor has an index in memory.
//!
//! What always holds: a commit is synced when it returns.

use std::path::Path;
use std::sync::OnceLock;

pub mod couchstore;
mod fjall;
mod lmdb;
pub mod logstor;
pub mod ours;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sqlite;

pub const KEY_BYTES: usize = 20;
pub const VALUE_BYTES: usize = 256;

/// Memory settings of every engine in this process.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Bytes that an engine may cache, where it has such a setting; the page cache comes on top.
    pub cache_bytes: usize,
    /// `true` if the data are much larger than the page cache, so that reading ahead is waste.
    pub is_short: bool,
}

static MEMORY: OnceLock<Memory> = OnceLock::new();

/// Sets the memory settings, once, before the first store is opened.
pub fn set_memory(memory: Memory) {
    MEMORY.set(memory).ok().expect("said once");
}

pub fn memory() -> Memory {
    *MEMORY.get_or_init(|| Memory {
        cache_bytes: 256 << 20,
        is_short: false,
    })
}

/// Returns `true` if the engine keeps a cache of its own and does not rely on the page cache.
pub fn has_cache(name: &str) -> bool {
    name != "lmdb"
}

pub type Key = [u8; KEY_BYTES];

/// One item to be written.
pub struct Write {
    pub seqno: u64,
    pub key: Key,
    pub value: bytes::Bytes,
}

/// Callback that takes an item: its seqno, key and value.
pub type See<'s> = &'s mut dyn FnMut(u64, &[u8], &[u8]);

/// Compaction that runs to its end when called.
pub type Compaction = Box<dyn FnOnce() + Send>;

/// An open store. A failure ends the benchmark.
pub trait Store {
    /// Writes items of different keys, ascending by seqno; all of it is durable when it returns.
    fn commit(&mut self, writes: &[Write]);

    /// Passes every item to `see`, in the order of seqnos, from one snapshot.
    fn scan(&self, see: See<'_>);

    /// Passes the value of each key to `see`, from one snapshot.
    fn gets(&self, keys: &[Key], see: &mut dyn FnMut(&[u8]));

    /// Passes the value of one key to `see`, without a snapshot where the engine has a shorter way.
    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) {
        self.gets(std::slice::from_ref(key), see);
    }

    /// Returns the highest seqno; 0 if the store is empty.
    fn high(&self) -> u64;

    /// Returns a compaction of everything that can run concurrently with commits; `None` if it is
    /// not measured.
    fn compaction(&self) -> Option<Compaction> {
        None
    }

    /// Returns the bytes of its files that are in use, where it knows better than the file system.
    fn used_bytes(&self) -> Option<u64> {
        None
    }
}

/// Opens the store in a directory, created if it is missing, calls back with it, and closes it.
pub type With = fn(&Path, &mut dyn FnMut(&mut dyn Store));

pub const ALL: &[(&str, With)] = &[
    ("logstor", logstor::with),
    ("couchstore one-sync", couchstore::one_sync),
    ("couchstore two-phase", couchstore::two_phase),
    ("redb", redb::with),
    ("fjall", fjall::with),
    ("lmdb", lmdb::with),
    ("sqlite", sqlite::with),
    #[cfg(feature = "rocksdb")]
    ("rocksdb", rocksdb::with),
];

/// Returns the engines of these names; all engines if there are no names.
pub fn wanted(names: &[String]) -> impl Iterator<Item = (&'static str, With)> {
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    ALL.iter().copied().filter(move |(name, _)| is_wanted(name))
}

/// Returns the engine of that name.
pub fn named(name: &str) -> Option<With> {
    ALL.iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, with)| with)
}

/// Returns the items in the order of their keys, which suits b-trees best.
fn by_key(writes: &[Write]) -> Vec<&Write> {
    let mut sorted: Vec<_> = writes.iter().collect();
    sorted.sort_unstable_by_key(|write| write.key);
    sorted
}

/// Returns the value of the table by seqno: key, then value.
fn row(write: &Write) -> Vec<u8> {
    let mut row = Vec::with_capacity(KEY_BYTES + VALUE_BYTES);
    row.extend_from_slice(&write.key);
    row.extend_from_slice(&write.value);
    row
}

fn seqno_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}
