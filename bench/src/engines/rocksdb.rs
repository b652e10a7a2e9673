//! RocksDB: log-structured merge trees behind a write-ahead log. Only with the feature `rocksdb`.
//!
//! Two column families; a commit is one write batch with `sync`. The family of keys has a bloom
//! filter of 10 bits, as its wiki advises. Both families share a block cache, and there is a
//! background job for each core. There is no compression, because the values are random. Reads
//! verify checksums, its default, when a block comes from disk, not from its cache.

use std::path::Path;
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::{Compaction, KEY_BYTES, Key, See, Store, Write, memory, row, seqno_of};

pub fn with(dir: &Path, then: &mut dyn FnMut(&mut dyn Store)) {
    let cache = Cache::new_lru_cache(memory().cache_bytes).expect("made");
    let family = |name, bloom: bool| {
        let (mut options, mut blocks) = (Options::default(), BlockBasedOptions::default());
        blocks.set_block_cache(&cache);
        if bloom {
            blocks.set_bloom_filter(10.0, false);
        }
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::None);
        ColumnFamilyDescriptor::new(name, options)
    };
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.increase_parallelism(2);
    let families = [family("by key", true), family("by seqno", false)];
    let database =
        Arc::new(DB::open_cf_descriptors(&options, dir.join("rocksdb"), families).expect("opens"));
    let mut sync = WriteOptions::default();
    sync.set_sync(true);
    then(&mut Rocks { database, sync });
}

struct Rocks {
    database: Arc<DB>,
    sync: WriteOptions,
}

impl Rocks {
    fn keys(&self) -> &ColumnFamily {
        self.database.cf_handle("by key").expect("opened")
    }

    fn seqnos(&self) -> &ColumnFamily {
        self.database.cf_handle("by seqno").expect("opened")
    }
}

impl Store for Rocks {
    fn commit(&mut self, writes: &[Write]) {
        let (keys, seqnos) = (self.keys(), self.seqnos());
        let mut batch = WriteBatch::default();
        for write in writes {
            if let Some(old) = self.database.get_pinned_cf(keys, write.key).expect("reads") {
                batch.delete_cf(seqnos, old);
            }
            let seqno = write.seqno.to_be_bytes();
            batch.put_cf(keys, write.key, seqno);
            batch.put_cf(seqnos, seqno, row(write));
        }
        self.database.write_opt(batch, &self.sync).expect("commits");
    }

    fn scan(&self, see: See<'_>) {
        let mut all = self
            .database
            .raw_iterator_cf_opt(self.seqnos(), ReadOptions::default());
        all.seek_to_first();
        while let Some((seqno, row)) = all.item() {
            let (key, value) = row.split_at(KEY_BYTES);
            see(seqno_of(seqno), key, value);
            all.next();
        }
        all.status().expect("sound");
    }

    fn gets(&self, wanted: &[Key], see: &mut dyn FnMut(&[u8])) {
        let snapshot = self.database.snapshot();
        for key in wanted {
            let seqno = snapshot
                .get_pinned_cf(self.keys(), key)
                .expect("reads")
                .expect("written");
            let row = snapshot
                .get_pinned_cf(self.seqnos(), seqno)
                .expect("reads")
                .expect("written");
            see(&row[KEY_BYTES..]);
        }
    }

    fn high(&self) -> u64 {
        let mut last = self.database.iterator_cf(self.seqnos(), IteratorMode::End);
        last.next()
            .map_or(0, |entry| seqno_of(&entry.expect("sound").0))
    }

    fn compaction(&self) -> Option<Compaction> {
        let database = Arc::clone(&self.database);
        Some(Box::new(move || {
            for name in ["by key", "by seqno"] {
                let family = database.cf_handle(name).expect("opened");
                database.compact_range_cf::<&[u8], &[u8]>(family, None, None);
            }
        }))
    }
}
