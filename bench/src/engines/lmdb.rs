//! LMDB by heed: a copy-on-write b-tree in a read-only memory map.
//!
//! No flag that trades durability: a commit is two device flushes, data and then the root page. The
//! map is made large beforehand, as its documentation asks. One write transaction for a batch, keys
//! in order; seqnos ascend and are appended. It has no checksums. There is no read-ahead where
//! memory is short, as its documentation advises.

use std::path::Path;

use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags};

use super::{KEY_BYTES, Key, See, Store, Write, by_key, memory, row};

const MAP_BYTES: usize = 8 << 30;

type Seqno = U64<BigEndian>;

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_dbs(2);
    if memory().is_short {
        // SAFETY: a hint for the kernel.
        unsafe { options.flags(EnvFlags::NO_READ_AHEAD) };
    }
    // SAFETY: the directory belongs to this process; no other process maps or changes the file.
    let env = unsafe { options.open(dir) }.expect("opens");
    let transaction = env.write_txn().expect("one writer");
    let tables: Result<_, heed::Error> =
        env.create_databases_and_commit(transaction, |opener, transaction| {
            let keys = opener.create_database::<Bytes, Seqno>(transaction, Some("by key"))?;
            let seqnos = opener.create_database::<Seqno, Bytes>(transaction, Some("by seqno"))?;
            Ok(CommitOrAbort::<_, ()>::Commit((keys, seqnos)))
        });
    let (keys, seqnos) = tables.expect("creates").unwrap_commit();
    then(&mut Lmdb {
        env: &env,
        keys,
        seqnos,
    });
}

struct Lmdb<'e> {
    env: &'e Env,
    keys: Database<'e, Bytes, Seqno>,
    seqnos: Database<'e, Seqno, Bytes>,
}

impl Store for Lmdb<'_> {
    fn commit(&mut self, writes: &[Write]) {
        let mut transaction = self.env.write_txn().expect("one writer");
        let mut superseded = Vec::new();
        for write in by_key(writes) {
            superseded.extend(self.keys.get(&transaction, &write.key).expect("reads"));
            self.keys
                .put(&mut transaction, &write.key, &write.seqno)
                .expect("writes");
        }
        superseded.sort_unstable();
        for seqno in superseded {
            self.seqnos
                .delete(&mut transaction, &seqno)
                .expect("writes");
        }
        for write in writes {
            let put = self.seqnos.put_with_flags(
                &mut transaction,
                PutFlags::APPEND,
                &write.seqno,
                &row(write),
            );
            put.expect("ascending");
        }
        transaction.commit().expect("commits");
    }

    fn scan(&self, see: See<'_>) {
        let transaction = self.env.read_txn().expect("reads");
        for entry in self.seqnos.iter(&transaction).expect("reads") {
            let (seqno, row) = entry.expect("sound");
            let (key, value) = row.split_at(KEY_BYTES);
            see(seqno, key, value);
        }
    }

    fn gets(&self, wanted: &[Key], see: &mut dyn FnMut(&[u8])) {
        let transaction = self.env.read_txn().expect("reads");
        for key in wanted {
            let seqno = self
                .keys
                .get(&transaction, key)
                .expect("reads")
                .expect("written");
            let row = self
                .seqnos
                .get(&transaction, &seqno)
                .expect("reads")
                .expect("written");
            see(&row[KEY_BYTES..]);
        }
    }

    fn high(&self) -> u64 {
        let transaction = self.env.read_txn().expect("reads");
        self.seqnos
            .last(&transaction)
            .expect("reads")
            .map_or(0, |(seqno, _)| seqno)
    }
}
