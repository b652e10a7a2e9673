//! redb: a pair of copy-on-write b-trees in one file.
//!
//! `Durability::Immediate`, its default: a commit returns after its fsync. Its one-phase commit
//! with checksums is the default as well. One write transaction for a batch, as its documentation
//! advises; keys in order. Pages' checksums are verified when a file is repaired, not when it is
//! read. It has the same cache as every engine that asks for one.

use std::path::Path;

use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{KEY_BYTES, Key, See, Store, Write, by_key, memory, row};

const BY_KEY: TableDefinition<'_, &[u8; KEY_BYTES], u64> = TableDefinition::new("by key");
const BY_SEQNO: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("by seqno");

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let path = dir.join("redb");
    let database = Builder::new()
        .set_cache_size(memory().cache_bytes)
        .create(path)
        .expect("opens");
    let mut store = Redb { database };
    // Readers need the tables, so an empty commit creates them.
    store.commit(&[]);
    then(&mut store);
}

struct Redb {
    database: Database,
}

impl Store for Redb {
    fn commit(&mut self, writes: &[Write]) {
        let transaction = self.database.begin_write().expect("one writer");
        {
            let mut keys = transaction.open_table(BY_KEY).expect("its types");
            let mut seqnos = transaction.open_table(BY_SEQNO).expect("its types");
            let mut superseded = Vec::new();
            for write in by_key(writes) {
                let old = keys.insert(&write.key, write.seqno).expect("writes");
                superseded.extend(old.map(|old| old.value()));
            }
            superseded.sort_unstable();
            for seqno in superseded {
                seqnos.remove(seqno).expect("writes");
            }
            for write in writes {
                seqnos
                    .insert(write.seqno, row(write).as_slice())
                    .expect("writes");
            }
        }
        transaction.commit().expect("commits");
    }

    fn scan(&self, see: See<'_>) {
        let transaction = self.database.begin_read().expect("reads");
        let seqnos = transaction.open_table(BY_SEQNO).expect("its types");
        for entry in seqnos.iter().expect("reads") {
            let (seqno, row) = entry.expect("sound");
            let (key, value) = row.value().split_at(KEY_BYTES);
            see(seqno.value(), key, value);
        }
    }

    fn gets(&self, wanted: &[Key], see: &mut dyn FnMut(&[u8])) {
        let transaction = self.database.begin_read().expect("reads");
        let keys = transaction.open_table(BY_KEY).expect("its types");
        let seqnos = transaction.open_table(BY_SEQNO).expect("its types");
        for key in wanted {
            let seqno = keys.get(key).expect("reads").expect("written").value();
            let row = seqnos.get(seqno).expect("reads").expect("written");
            see(&row.value()[KEY_BYTES..]);
        }
    }

    fn high(&self) -> u64 {
        let transaction = self.database.begin_read().expect("reads");
        let seqnos = transaction.open_table(BY_SEQNO).expect("its types");
        seqnos
            .last()
            .expect("reads")
            .map_or(0, |(seqno, _)| seqno.value())
    }
}
