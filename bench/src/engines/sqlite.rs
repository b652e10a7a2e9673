//! SQLite, bundled: one table, whose primary key is the seqno, with a unique index of the keys.
//!
//! `journal_mode=WAL` and `synchronous=FULL`: the log is synced at each commit. REPLACE removes the
//! superseded row by the unique index. Statements are prepared once. Reads are memory-mapped, as its
//! documentation advises, and its page cache is as large as the caches of the other engines. Where
//! memory is short, reads are not mapped, which is its default: the kernel would read around every
//! page. It has no checksums of pages.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{Key, See, Store, Write, memory};

const MAP_BYTES: usize = 8 << 30;

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let connection = Connection::open(dir.join("sqlite")).expect("opens");
    let settings = format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-{}; PRAGMA mmap_size={};
         CREATE TABLE IF NOT EXISTS items (seqno INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);",
        memory().cache_bytes >> 10,
        if memory().is_short { 0 } else { MAP_BYTES },
    );
    connection.execute_batch(&settings).expect("its own words");
    then(&mut Sqlite { connection });
}

struct Sqlite {
    connection: Connection,
}

impl Store for Sqlite {
    fn commit(&mut self, writes: &[Write]) {
        let transaction = self.connection.transaction().expect("one writer");
        {
            let mut replace = transaction
                .prepare_cached("REPLACE INTO items VALUES (?1, ?2, ?3)")
                .expect("SQL");
            for write in writes {
                let row = params![write.seqno as i64, &write.key[..], &write.value[..]];
                replace.execute(row).expect("writes");
            }
        }
        transaction.commit().expect("commits");
    }

    fn scan(&self, see: See<'_>) {
        let all = "SELECT seqno, key, value FROM items ORDER BY seqno";
        let mut statement = self.connection.prepare_cached(all).expect("SQL");
        let mut rows = statement.query([]).expect("reads");
        while let Some(row) = rows.next().expect("sound") {
            let blob = |column| {
                row.get_ref(column)
                    .and_then(|value| Ok(value.as_blob()?))
                    .expect("a blob")
            };
            see(
                row.get::<_, i64>(0).expect("a number") as u64,
                blob(1),
                blob(2),
            );
        }
    }

    fn gets(&self, wanted: &[Key], see: &mut dyn FnMut(&[u8])) {
        let transaction = self.connection.unchecked_transaction().expect("reads");
        let mut statement = transaction
            .prepare_cached("SELECT value FROM items WHERE key = ?1")
            .expect("SQL");
        for key in wanted {
            let mut rows = statement.query([&key[..]]).expect("reads");
            let row = rows.next().expect("sound").expect("written");
            see(row
                .get_ref(0)
                .and_then(|value| Ok(value.as_blob()?))
                .expect("a blob"));
        }
    }

    fn high(&self) -> u64 {
        let high = self
            .connection
            .query_row("SELECT max(seqno) FROM items", [], |row| row.get(0));
        high.map(|high: Option<i64>| high.unwrap_or(0) as u64)
            .expect("SQL")
    }
}
