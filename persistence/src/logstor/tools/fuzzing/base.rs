//! The directories that are fuzzed: a store whose files the bytes change or replace.
//!
//! The first byte selects the meaning of the others. A change has 8 bytes: file, kind, offset,
//! value.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};

use super::seal;
use crate::contract::{Budget, CommitBatch, CompactionRequest, Engine, EngineError, JobProgress};
use crate::disk::{Access, Disk, DiskError, MemoryDisk};
use crate::logstor::config::LogstorConfig;
use crate::logstor::engine::Logstor;
use crate::logstor::format::to_usize;

const DIRECTORY: &str = "/store";
/// Key of the stores that are fuzzed.
const HASH_KEY: [u64; 2] = [0x6c6f_7774_6964_6531, 0x6c6f_6773_746f_7232];
pub(super) const CONFIG: LogstorConfig = LogstorConfig {
    segment_bytes: 64 << 10,
    file_bytes: 128 << 10,
    disk_bytes: 48 * (64 << 10),
    mixed_segments_max: 2,
    ..LogstorConfig::new(HASH_KEY)
};
const MANIFEST: &str = "MANIFEST";

/// A file's name and its bytes.
type Files = Vec<(String, Vec<u8>)>;

pub(super) fn directory() -> &'static Path {
    Path::new(DIRECTORY)
}

/// Makes a disk with the store that the bytes describe.
pub(super) fn make(bytes: &[u8]) -> Option<MemoryDisk> {
    let (mode, rest) = bytes.split_first()?;
    let mut files = if mode & 3 == 0 {
        raw(rest)
    } else {
        life().clone()
    };
    if mode & 3 != 0 {
        for change in rest.chunks_exact(8).take(64) {
            apply(&mut files, change)?;
        }
    }
    if mode & 3 > 1 {
        for (name, bytes) in &mut files {
            if name == MANIFEST {
                seal::manifest(bytes);
            } else {
                let segments = bytes.chunks_mut(to_usize(CONFIG.segment_bytes));
                segments.for_each(|segment| seal::segment(segment, CONFIG.hash_key));
            }
        }
    }
    put(&files).ok()
}

/// Takes the bytes for the manifest, or for the start of the first log file of a sound store.
fn raw(bytes: &[u8]) -> Files {
    let mut files = life().clone();
    match bytes.split_first() {
        Some((0..128, bytes)) => {
            files.retain(|(name, _)| name != MANIFEST);
            files.push((MANIFEST.to_owned(), bytes.to_vec()));
        }
        Some((_, bytes)) => {
            for (_, log) in files
                .iter_mut()
                .filter(|(name, _)| name != MANIFEST)
                .take(1)
            {
                log.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            }
        }
        None => {}
    }
    files
}

fn apply(files: &mut Files, change: &[u8]) -> Option<()> {
    let &[file, what, a, b, c, d, e, f] = change else {
        return None;
    };
    let number = usize::from(file) % files.len();
    let (_, bytes) = files.get_mut(number)?;
    let at = to_usize(u32::from_be_bytes([0, a, b, c])) % bytes.len().max(1);
    // Near the start of a block: most blocks are nearly empty.
    let near = (at - at % 4096 + usize::from(d) % 160).min(bytes.len().saturating_sub(1));
    match what % 8 {
        0 => *bytes.get_mut(at)? ^= e | 1,
        1 | 2 => *bytes.get_mut(near)? ^= e | 1,
        3 => bytes
            .get_mut(near..)?
            .iter_mut()
            .take(8)
            .zip([0, 0, 0, 0, 0, 0, e, f])
            .for_each(|(to, from)| *to = from),
        4 => {
            // Copies a block from another offset.
            let from = usize::from(u16::from_be_bytes([e, f])) * 4096 % bytes.len();
            let block = bytes
                .get(from - from % 4096..)?
                .iter()
                .take(4096)
                .copied()
                .collect::<Vec<_>>();
            bytes
                .get_mut(at - at % 4096..)?
                .iter_mut()
                .zip(block)
                .for_each(|(to, from)| *to = from);
        }
        5 => bytes
            .get_mut(at..)?
            .iter_mut()
            .take(usize::from(e) * 32)
            .for_each(|byte| *byte = 0),
        6 if e < 32 => bytes.truncate(at),
        6 => bytes.resize((bytes.len() + usize::from(e) * 64).min(1 << 20), f),
        _ if e < 16 => drop(files.remove(number)),
        _ => *bytes.get_mut(near)? = f,
    }
    (!files.is_empty() && files.iter().all(|(_, bytes)| !bytes.is_empty())).then_some(())
}

fn put(files: &Files) -> Result<MemoryDisk, DiskError> {
    let disk = MemoryDisk::new();
    disk.create_dir(directory())?;
    for (name, bytes) in files {
        let file = disk.create(&directory().join(name))?;
        file.write_at(&[bytes], 0)?;
        file.sync_data()?;
    }
    disk.sync_dir(directory())?;
    Ok(disk)
}

/// Returns the files of a store that has everything: several vBuckets, large records, tombstones,
/// also a spared one, a rollback, rewritten and free segments.
fn life() -> &'static Files {
    static LIFE: OnceLock<Files> = OnceLock::new();
    LIFE.get_or_init(|| {
        let live = live();
        assert!(live.is_ok(), "nothing is wrong with the disk: {live:?}");
        live.unwrap_or_default()
    })
}

fn live() -> Result<Files, EngineError> {
    let disk = MemoryDisk::new();
    let (engine, _) = Logstor::open(Arc::new(disk.clone()), directory(), CONFIG)?;
    let a = Vbid(1);
    let b = Vbid(2);
    engine.create(a)?;
    engine.create(b)?;
    let set = |seqno: u64, key: &str, bytes: usize| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(
            Key::new(key.as_bytes()),
            Bytes::from(vec![seqno as u8; bytes]),
        )
    };
    let delete = |seqno: u64, key: &str| Item {
        seqno: Seqno(seqno),
        ..Item::deletion(Key::new(key.as_bytes()))
    };
    commit(
        &engine,
        &[
            (a, vec![set(1, "key-1", 10), set(2, "key-2", 3000)]),
            (b, vec![set(1, "key-1", 0)]),
        ],
    )?;
    commit(
        &engine,
        &[
            (a, vec![delete(3, "key-1"), set(4, "key-3", 300)]),
            (b, vec![set(2, "key-2", 200)]),
        ],
    )?;
    let pinned = engine.snapshot(a)?;
    commit(
        &engine,
        &[(
            a,
            (5..25)
                .map(|n| set(n, &format!("key-{}", n % 7), 3500))
                .collect(),
        )],
    )?;
    let _done = engine.rollback(a, Seqno(4))?;
    drop(pinned);
    commit(
        &engine,
        &[
            (a, vec![set(5, "large", 70_000), set(6, "key-2", 40)]),
            (b, vec![delete(3, "key-1")]),
        ],
    )?;
    let spared = Item {
        key: Key::in_collection(8, b"key"),
        ..delete(7, "")
    };
    commit(
        &engine,
        &[(a, vec![spared, delete(8, "key-1"), set(9, "end", 0)])],
    )?;
    let _purged = engine.purge(a, Seqno(8))?;
    let mut job = engine.compact(a, CompactionRequest::default())?;
    while !matches!(job.step(Budget::NONE)?, JobProgress::Done(_)) {}
    for n in 10..13 {
        commit(
            &engine,
            &[
                (a, vec![set(n, "key-4", 50)]),
                (b, vec![set(n, "key-5", 50)]),
            ],
        )?;
    }
    engine.close()?;
    let mut files = Files::new();
    for name in disk.list(directory())? {
        let file = disk.open(&directory().join(&name), Access::ReadOnly)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        files.push((name, bytes));
    }
    Ok(files)
}

fn commit(engine: &Logstor, batches: &[(Vbid, Vec<Item>)]) -> Result<(), EngineError> {
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(9)));
    let refs: Vec<Vec<&Item>> = batches
        .iter()
        .map(|(_, items)| items.iter().collect())
        .collect();
    let parts = batches.iter().zip(&refs);
    let batches: Vec<CommitBatch<'_>> = parts
        .map(|(&(vb, _), items)| CommitBatch {
            vb,
            items,
            state: &state,
            timestamp: 1,
        })
        .collect();
    engine
        .commit(&batches)
        .into_iter()
        .try_for_each(|result| result.map(|_| ()))
}
