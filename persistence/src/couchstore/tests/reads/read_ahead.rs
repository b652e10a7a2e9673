//! E23. A piece that was read ahead is the same as a piece read alone, in whole and damaged files,
//! in any order.

use std::sync::Arc;

use lowtide_checkpoint::Seqno;
use proptest::prelude::*;

use crate::contract::Engine;
use crate::couchstore::file::{ChunkReader, CommitView, ReadAhead, chunk, header_search};
use crate::couchstore::format::DocInfo;
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::tests::support::{VB, commit, file, open, set};
use crate::disk::{
    Access, Disk, DiskError, DiskErrorKind, DiskFile, DiskOperation, DiskResult, MemoryDisk,
    MeteredDisk,
};

/// Makes a file of several commits with some values longer than the read-ahead.
fn filled() -> (MemoryDisk, CommitView) {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    for batch in 0..6_u64 {
        let value = |n: u64| {
            vec![(n * 7) as u8; (n * n * 37 % 3000) as usize + if n == 77 { 200_000 } else { 0 }]
        };
        let items: Vec<_> = (1..=40)
            .map(|n| batch * 40 + n)
            .map(|seqno| {
                set(
                    seqno,
                    &format!("{}", seqno * 31 % 170),
                    &noisy(value(seqno), seqno),
                )
            })
            .collect();
        commit(&engine, VB, &items).expect("committed");
    }
    engine.close().expect("closed");
    let view = header_search::newest(
        disk.open(&file(), Access::ReadWrite).expect("there"),
        &file(),
    )
    .expect("sound");
    (disk, view)
}

/// Makes a value that does not compress.
fn noisy(mut value: Vec<u8>, seed: u64) -> Vec<u8> {
    let mut state = seed;
    for byte in &mut value {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 56) as u8;
    }
    value
}

fn rows(view: &CommitView) -> Vec<DocInfo> {
    view.rows(Seqno(0))
        .expect("sound")
        .map(|row| row.expect("sound"))
        .collect()
}

/// Positions of changed bytes, and the end of the file, in thousandths of its length.
#[derive(Clone, Debug)]
struct Damage {
    flips: Vec<u64>,
    end: u64,
}

fn damage() -> impl Strategy<Value = Damage> {
    let flips = prop::collection::vec(0..1000_u64, 0..12);
    (flips, prop_oneof![3 => Just(1000_u64), 1 => 0..1000_u64])
        .prop_map(|(flips, end)| Damage { flips, end })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunk_read_ahead_equals_the_chunk_read_alone(
        damage in damage(),
        order in prop::collection::vec((0..170_usize, 1..60_usize), 1..12),
        hint in prop_oneof![4 => Just(None), 1 => (0..6000_u64).prop_map(Some)],
    ) {
        let (_, view) = filled();
        let rows = rows(&view);
        let file = &view.source.file;
        let len = file.len().expect("known");
        for at in damage.flips {
            let mut byte = [0];
            file.read_at(&mut byte, len * at / 1000).expect("readable");
            file.write_at(&[&[byte[0] ^ 0x55]], len * at / 1000).expect("writable");
        }
        file.set_len(len * damage.end / 1000).expect("cut");
        let mut ahead = ChunkReader::new(ReadAhead::ahead(&view.source, 0));
        for (from, count) in order {
            for row in rows.iter().skip(from % rows.len()).take(count) {
                let hint = hint.unwrap_or(row.physical_bytes - HEAD_BYTES);
                let alone = chunk::read(&view.source, row.body_position, hint, view.position);
                let read = ahead.read(row.body_position, hint, view.position);
                prop_assert_eq!(
                    read.map(<[u8]>::to_vec).map_err(|error| error.to_string()),
                    alone.map(|body| body.to_vec()).map_err(|error| error.to_string())
                );
            }
        }
    }
}

/// A file with one unreadable byte.
#[derive(Debug)]
struct Scratched {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl DiskFile for Scratched {
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
        match (offset..offset + buffer.len() as u64).contains(&self.at) {
            true => Err(DiskError {
                operation: DiskOperation::Read,
                path: file(),
                offset: Some(self.at),
                kind: DiskErrorKind::Io,
                source: std::io::Error::other("scratched"),
            }),
            false => self.file.read_at(buffer, offset),
        }
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> DiskResult<()> {
        self.file.write_at(parts, offset)
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.file.sync_data()
    }
}

#[test]
fn unreadable_byte_does_not_affect_chunks_before_it() {
    let (_, mut view) = filled();
    let rows = rows(&view);
    for scratched in rows.iter().step_by(7) {
        let file = Arc::clone(&view.source.file);
        view.source.file = Arc::new(Scratched {
            file: Arc::clone(&file),
            at: scratched.body_position + 9,
        });
        let mut ahead = ChunkReader::new(ReadAhead::ahead(&view.source, 1 << 20));
        for row in &rows {
            let hint = row.physical_bytes - HEAD_BYTES;
            let read = ahead.read(row.body_position, hint, view.position);
            assert_eq!(
                read.is_err(),
                row.seqno == scratched.seqno,
                "{} of {}",
                row.seqno,
                scratched.seqno
            );
        }
        view.source.file = file;
    }
}

#[test]
fn read_ahead_adapts_to_jumping_and_sequential_readers() {
    let (disk, _) = filled();
    let metered = MeteredDisk::new(Arc::new(disk));
    let opened = metered.open(&file(), Access::ReadOnly).expect("there");
    let view = header_search::newest(opened, &file()).expect("sound");
    let rows: Vec<_> = rows(&view)
        .into_iter()
        .filter(|row| row.physical_bytes < 5000)
        .collect();
    let bytes: u64 = rows.iter().map(|row| row.physical_bytes).sum();
    let read = |order: &mut dyn Iterator<Item = &DocInfo>| {
        let before = metered.stats();
        let mut reader = ChunkReader::new(ReadAhead::ahead(&view.source, 0));
        for row in order {
            let hint = row.physical_bytes - HEAD_BYTES;
            reader
                .read(row.body_position, hint, view.position)
                .expect("sound");
        }
        metered.stats().since(&before)
    };
    let onward = read(&mut rows.iter());
    assert!(onward.reads * 5 < rows.len() as u64, "{onward:?}");
    let backward = read(&mut rows.iter().rev());
    assert!(backward.read_bytes < bytes * 2, "{backward:?} for {bytes}");
}
