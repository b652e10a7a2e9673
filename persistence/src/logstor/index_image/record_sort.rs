//! Sorting the records of an image that is being made, in bounded memory.
//!
//! A store that is loaded quickly appends many times the records of its last image before the next
//! one. Records are collected until there are as many as a run has. They are then sorted and
//! appended to a temporary file, and all runs are merged while the image is written. Memory is one
//! run, and a block of each. Records that fit one run never touch the disk.
//!
//! # Invariants (L20)
//!
//! Everything that was pushed comes out once, ascending by vBucket, fingerprint, seqno and append.
//! The file is removed when the sorter or its merge is dropped.

mod run_file;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::run_file::{Run, RunFile};
use super::file_names::{RUNS, image_file_name};
use crate::contract::EngineError;
use crate::logstor::format::{CollectionHighSeqnos, Fingerprint};
use crate::logstor::log::{ScannedRecord, StoreContext};
use crate::shared::MergedRuns;

/// Records of a run: about 5 MiB. Unit tests have few records, and several runs of them.
const RUN_RECORDS: usize = if cfg!(test) { 24 } else { 64 << 10 };

/// A record with its vBucket.
#[derive(Clone, Copy, Debug)]
struct Row {
    vb: u16,
    record: ScannedRecord,
}

impl Row {
    const fn key(&self) -> (u16, Fingerprint, u64, u64) {
        let Self { vb, record } = self;
        (*vb, record.fingerprint, record.seqno, record.append_seqno)
    }
}

/// A collector of records.
#[derive(Debug)]
pub(in crate::logstor) struct RecordSorter {
    context: Arc<StoreContext>,
    image_number: u64,
    rows: Vec<Row>,
    high_seqnos: BTreeMap<u16, CollectionHighSeqnos>,
    file: Option<Arc<RunFile>>,
    runs: Vec<Run>,
}

impl RecordSorter {
    /// Begins to collect the records of the image with a number.
    pub(in crate::logstor) const fn new(context: Arc<StoreContext>, image_number: u64) -> Self {
        Self {
            context,
            image_number,
            rows: Vec::new(),
            high_seqnos: BTreeMap::new(),
            file: None,
            runs: Vec::new(),
        }
    }

    /// Adds a record of a vBucket.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(in crate::logstor) fn push(
        &mut self,
        vb: u16,
        record: ScannedRecord,
    ) -> Result<(), EngineError> {
        if let Some(collection) = record.collection {
            let high_seqnos = self.high_seqnos.entry(vb).or_default();
            high_seqnos.insert(collection, record.seqno);
        }
        self.rows.push(Row { vb, record });
        if self.rows.len() >= RUN_RECORDS {
            self.write_run()?;
        }
        Ok(())
    }

    fn write_run(&mut self) -> Result<(), EngineError> {
        self.rows.sort_unstable_by_key(Row::key);
        let file = match &self.file {
            Some(file) => file,
            None => {
                let name = image_file_name(self.image_number) + RUNS;
                let file = RunFile::create(&self.context, self.context.dir.join(name))?;
                self.file.insert(Arc::new(file))
            }
        };
        let offset = self.runs.last().map_or(0, Run::end);
        self.runs.push(file.append(offset, &self.rows)?);
        self.rows.clear();
        Ok(())
    }

    /// Returns everything that was added, in order.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub(in crate::logstor) fn finish(mut self) -> Result<SortedRecords, EngineError> {
        self.rows.sort_unstable_by_key(Row::key);
        let runs = self.runs.into_iter().chain([Run::in_memory(self.rows)]);
        Ok(SortedRecords {
            rows: MergedRuns::of(runs)?,
            high_seqnos: self.high_seqnos,
            file: self.file,
        })
    }

    /// Leaves the file to the next opening of the store.
    pub(in crate::logstor) fn leave_file(&self) {
        if let Some(file) = &self.file {
            file.leave();
        }
    }
}

/// Records in order.
#[derive(Debug)]
pub(in crate::logstor) struct SortedRecords {
    rows: MergedRuns<Run>,
    high_seqnos: BTreeMap<u16, CollectionHighSeqnos>,
    file: Option<Arc<RunFile>>,
}

impl SortedRecords {
    /// Returns the highest seqno of each collection of a vBucket's records.
    pub(super) fn high_seqnos(&self, vb: u16) -> CollectionHighSeqnos {
        self.high_seqnos.get(&vb).cloned().unwrap_or_default()
    }

    /// Returns the fingerprint of a vBucket's next record.
    pub(super) fn next_of(&self, vb: u16) -> Option<Fingerprint> {
        let next = self.rows.peek().filter(|row| row.vb == vb);
        next.map(|row| row.record.fingerprint)
    }

    /// Takes the next record if it is of a vBucket and a fingerprint.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub(super) fn take(
        &mut self,
        vb: u16,
        of: Fingerprint,
    ) -> Result<Option<ScannedRecord>, EngineError> {
        if self.next_of(vb) != Some(of) {
            return Ok(None);
        }
        Ok(self.rows.next()?.map(|row| row.record))
    }

    /// Leaves the file to the next opening of the store.
    pub(super) fn leave_file(&self) {
        if let Some(file) = &self.file {
            file.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::logstor::format::Location;
    use crate::logstor::tests::support::{SMALL, dir, open_with};

    fn record(n: u64) -> ScannedRecord {
        let mut fingerprint = [0; 16];
        // Few keys, so that several runs have each of them.
        fingerprint[..8].copy_from_slice(&(n * 701 % 37).to_be_bytes());
        ScannedRecord {
            epoch: 5,
            fingerprint: Fingerprint::from_bytes(&fingerprint),
            seqno: n / 2,
            at: Location {
                segment: 1,
                offset: u32::try_from(n).expect("small"),
                len: 3,
            },
            tombstone: n.is_multiple_of(3),
            collection: n.is_multiple_of(5).then_some(8),
            append_seqno: n,
        }
    }

    fn sorter(disk: &MemoryDisk) -> RecordSorter {
        let (engine, _) = open_with(disk, SMALL).expect("opens");
        RecordSorter::new(Arc::clone(&engine.store.context), 7)
    }

    fn is_there(disk: &MemoryDisk) -> bool {
        let names = disk.list(&dir()).expect("listed");
        names.iter().any(|name| name == "index-00000007.runs")
    }

    #[test]
    fn records_come_out_once_and_in_order_for_any_number_of_runs() {
        for count in [0, 1, 23, 24, 25, 1000] {
            let disk = MemoryDisk::new();
            let mut sorter = sorter(&disk);
            let mut expected = Vec::new();
            for n in 0..count {
                let vb = u16::try_from(n * 13 % 3).expect("small");
                sorter.push(vb, record(n)).expect("written");
                expected.push(Row {
                    vb,
                    record: record(n),
                });
            }
            expected.sort_by_key(Row::key);
            assert_eq!(is_there(&disk), count >= 24);
            let mut sorted = sorter.finish().expect("readable");
            let mut found = Vec::new();
            for vb in 0..3_u16 {
                let highest = expected.iter().filter(|row| row.vb == vb);
                let highest = highest.filter(|row| row.record.collection.is_some());
                let highest = highest.map(|row| row.record.seqno).max();
                let known = sorted.high_seqnos(vb).iter().next().map(|(_, high)| high);
                assert_eq!(known, highest);
                while let Some(of) = sorted.next_of(vb) {
                    let other = record(if of == record(0).fingerprint { 1 } else { 0 });
                    let none = sorted.take(vb, other.fingerprint).expect("readable");
                    assert!(none.is_none(), "of another key");
                    while let Some(record) = sorted.take(vb, of).expect("readable") {
                        found.push(Row { vb, record });
                    }
                }
            }
            let text = |rows: &[Row]| format!("{rows:?}");
            assert_eq!(text(&found), text(&expected));
            drop(sorted);
            assert!(!is_there(&disk), "removed with its merge");
        }
    }

    #[test]
    fn file_goes_with_its_sorter_unless_it_is_left() {
        for is_left in [false, true] {
            let disk = MemoryDisk::new();
            let mut sorter = sorter(&disk);
            for n in 0..50 {
                sorter.push(0, record(n)).expect("written");
            }
            if is_left {
                sorter.leave_file();
            }
            drop(sorter);
            assert_eq!(is_there(&disk), is_left);
            let (engine, _) = open_with(&disk, SMALL).expect("opens");
            drop(engine);
            assert!(!is_there(&disk), "a store that opens removes it");
        }
    }
}
