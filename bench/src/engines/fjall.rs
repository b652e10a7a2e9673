//! fjall: log-structured merge trees behind a journal.
//!
//! Two keyspaces, one batch for a commit, with `PersistMode::SyncData`: one fdatasync of the
//! journal. There is no compression, because the values are random. The keys have
//! `expect_point_read_hits`, which its documentation advises where most lookups succeed. Superseded
//! seqnos are removed weakly, as it advises for keys that are written once. Blocks' checksums are
//! verified when they come from disk, not from its cache.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{KEY_BYTES, Key, See, Store, Write, memory, row, seqno_of};

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let database = Database::builder(dir.join("fjall"))
        .cache_size(memory().cache_bytes as u64)
        .open()
        .expect("opens");
    let for_keys = || KeyspaceCreateOptions::default().expect_point_read_hits(true);
    let keys = database.keyspace("by-key", for_keys).expect("opens");
    let seqnos = database
        .keyspace("by-seqno", KeyspaceCreateOptions::default)
        .expect("opens");
    then(&mut Fjall {
        database,
        keys,
        seqnos,
    });
}

struct Fjall {
    database: Database,
    keys: Keyspace,
    seqnos: Keyspace,
}

impl Store for Fjall {
    fn commit(&mut self, writes: &[Write]) {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for write in writes {
            if let Some(old) = self.keys.get(write.key).expect("reads") {
                batch.remove_weak(&self.seqnos, old);
            }
            let seqno = write.seqno.to_be_bytes();
            batch.insert(&self.keys, write.key, seqno);
            batch.insert(&self.seqnos, seqno, row(write));
        }
        batch.commit().expect("commits");
    }

    fn scan(&self, see: See<'_>) {
        for guard in self.database.snapshot().iter(&self.seqnos) {
            let (seqno, row) = guard.into_inner().expect("sound");
            let (key, value) = row.split_at(KEY_BYTES);
            see(seqno_of(&seqno), key, value);
        }
    }

    fn gets(&self, wanted: &[Key], see: &mut dyn FnMut(&[u8])) {
        let snapshot = self.database.snapshot();
        for key in wanted {
            let seqno = snapshot
                .get(&self.keys, key)
                .expect("reads")
                .expect("written");
            let row = snapshot
                .get(&self.seqnos, seqno)
                .expect("reads")
                .expect("written");
            see(&row[KEY_BYTES..]);
        }
    }

    fn high(&self) -> u64 {
        let last = self.seqnos.last_key_value();
        last.map_or(0, |guard| seqno_of(&guard.key().expect("sound")))
    }
}
