//! Storage engines behind one face. In go commits of items, out come points by key and scans by seqno.
//!
//! Every engine keeps both indexes and changes them in one atomic commit, with the entry of the superseded seqno
//! removed. The peers keep key -> seqno and seqno -> (key, value): a scan reads one table in order, a get looks up
//! twice. Couchstore keeps the body apart, and both trees point to it; logstor has an index in memory. A commit has been synced when it returns.

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

/// How this process's engines are to go about memory.
#[derive(Clone, Copy)]
pub struct Memory {
    /// What an engine may keep of its data in memory, where it asks; the page cache comes on top.
    pub cache_bytes: usize,
    /// The data are much larger than the page cache: what is read beside what was asked for is waste.
    pub is_short: bool,
}

static MEMORY: OnceLock<Memory> = OnceLock::new();

/// Said once, before the first store is opened.
pub fn set_memory(memory: Memory) {
    MEMORY.set(memory).ok().expect("said once");
}

fn memory() -> Memory {
    *MEMORY.get_or_init(|| Memory {
        cache_bytes: 256 << 20,
        is_short: false,
    })
}

/// Whether an engine keeps a cache of its own, or leaves that to the page cache.
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

/// Is shown an item: its seqno, key and value.
pub type See<'s> = &'s mut dyn FnMut(u64, &[u8], &[u8]);

/// A compaction, to be run to its end.
pub type Compaction = Box<dyn FnOnce() + Send>;

/// An open store. A failure ends the benchmark.
pub trait Store {
    /// Writes items of different keys, ascending by seqno; all of it is durable when it returns.
    fn commit(&mut self, writes: &[Write]);

    /// Shows every item in the order of seqnos, from one snapshot.
    fn scan(&self, see: See<'_>);

    /// Shows the value of each key, from one snapshot.
    fn gets(&self, keys: &[Key], see: &mut dyn FnMut(&[u8]));

    /// Shows the value of one key, from no snapshot where that is another way.
    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) {
        self.gets(std::slice::from_ref(key), see);
    }

    /// The highest seqno there is; 0 if none.
    fn high(&self) -> u64;

    /// What rewrites everything that can be reached, beside commits; `None` where it is not measured.
    fn compaction(&self) -> Option<Compaction> {
        None
    }

    /// Bytes of its files that hold something, where it knows better than the file system.
    fn used_bytes(&self) -> Option<u64> {
        None
    }
}

/// Opens the store in a directory, made if need be; calls back with it; lets go of it in an orderly way.
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

/// The engines of these names; all, if there are none.
pub fn wanted(names: &[String]) -> impl Iterator<Item = (&'static str, With)> {
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    ALL.iter().copied().filter(move |(name, _)| is_wanted(name))
}

/// The engine of that name.
pub fn named(name: &str) -> Option<With> {
    ALL.iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, with)| with)
}

/// The items in the order of their keys: what b-trees like best.
fn by_key(writes: &[Write]) -> Vec<&Write> {
    let mut sorted: Vec<_> = writes.iter().collect();
    sorted.sort_unstable_by_key(|write| write.key);
    sorted
}

/// The value of the table by seqno: key, then value.
fn row(write: &Write) -> Vec<u8> {
    let mut row = Vec::with_capacity(KEY_BYTES + VALUE_BYTES);
    row.extend_from_slice(&write.key);
    row.extend_from_slice(&write.value);
    row
}

fn seqno_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}
