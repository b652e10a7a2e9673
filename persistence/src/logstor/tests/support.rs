//! What the engine's tests share: small stores on memory disks, batches, contents, and an audit
//! that counts for itself what the index counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};

use crate::contract::{
    Batch, Budget, Committed, Engine, EngineError, Job, Progress, RecoveryReport, ScanLimit,
    Snapshot,
};
use crate::disk::{Access, Disk, MemoryDisk};
use crate::logstor::format::{
    CollectionHighSeqnos, Fingerprint, Location, RecordView, collection_of_record, payload_of,
    records_in, scan_frames,
};
use crate::logstor::log::Segment;
use crate::logstor::{Logstor, LogstorConfig};

pub(in crate::logstor) const A: Vbid = Vbid(7);
pub(in crate::logstor) const B: Vbid = Vbid(700);
pub(in crate::logstor) const C: Vbid = Vbid(1000);

/// Small segments in small files, so that everything happens soon; no images.
pub(in crate::logstor) const SMALL: LogstorConfig = LogstorConfig {
    segment_bytes: 64 << 10,
    file_bytes: 256 << 10,
    disk_bytes: 64 * (64 << 10),
    mixed_segments_max: 2,
    image_bytes: 1 << 40,
    // So little that blocks come and go.
    cache_bytes: 8 << 12,
    ..LogstorConfig::DEFAULT
};

pub(in crate::logstor) type Contents = BTreeMap<u64, Item>;

pub(in crate::logstor) fn dir() -> PathBuf {
    PathBuf::from("/store")
}

pub(in crate::logstor) fn open_with(
    disk: &(impl Disk + Clone + 'static),
    config: LogstorConfig,
) -> Result<(Logstor, RecoveryReport), EngineError> {
    Logstor::open(Arc::new(disk.clone()), &dir(), config)
}

pub(in crate::logstor) fn open(
    disk: &(impl Disk + Clone + 'static),
) -> Result<(Logstor, RecoveryReport), EngineError> {
    open_with(disk, SMALL)
}

pub(in crate::logstor) fn state(high: u64) -> VBucketState {
    let log = FailoverLog::new(VbUuid(0xabcd));
    VBucketState {
        snapshot_end: Seqno(high),
        max_cas: Cas(high * 1000),
        ..VBucketState::new(State::Active, log)
    }
}

pub(in crate::logstor) fn set(seqno: u64, key: &str, value: &[u8]) -> Item {
    let value = Bytes::copy_from_slice(value);
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key.as_bytes()), value)
    }
}

pub(in crate::logstor) fn delete(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::deletion(Key::new(key.as_bytes()))
    }
}

pub(in crate::logstor) fn in_collection(collection: u32, item: Item) -> Item {
    Item {
        key: Key::in_collection(collection, item.key.user()),
        ..item
    }
}

pub(in crate::logstor) fn commit_all(
    engine: &dyn Engine,
    batches: &[(Vbid, Vec<Item>)],
) -> Vec<Result<Committed, EngineError>> {
    let states: Vec<_> = batches
        .iter()
        .map(|(_, items)| state(items.last().map_or(0, |item| item.seqno.0)))
        .collect();
    let refs: Vec<Vec<&Item>> = batches
        .iter()
        .map(|(_, items)| items.iter().collect())
        .collect();
    let parts = batches.iter().zip(&refs).zip(&states);
    let batches: Vec<Batch<'_>> = parts
        .map(|((&(vb, _), items), state)| Batch {
            vb,
            items,
            state,
            timestamp: 1,
        })
        .collect();
    engine.commit(&batches)
}

pub(in crate::logstor) fn commit(
    engine: &dyn Engine,
    vb: Vbid,
    items: &[Item],
) -> Result<Committed, EngineError> {
    commit_all(engine, &[(vb, items.to_vec())])
        .pop()
        .expect("one")
}

pub(in crate::logstor) fn apply(contents: &Contents, batch: &[Item]) -> Contents {
    let mut next = contents.clone();
    for item in batch {
        next.retain(|_, old| old.key != item.key);
        next.insert(item.seqno.0, item.clone());
    }
    next
}

/// The key with a number: some collections have few, so that a tombstone is often their newest.
pub(in crate::logstor) fn numbered(key: u8, item: Item) -> Item {
    let collection = [8, 8, 9, 0x1f4].get(usize::from(key)).copied();
    in_collection(
        collection.unwrap_or(0),
        Item {
            key: Key::new(format!("key-{key}").as_bytes()),
            ..item
        },
    )
}

/// The newest seqno of each collection.
pub(in crate::logstor) fn highs(contents: &Contents) -> BTreeMap<u32, u64> {
    contents
        .iter()
        .map(|(&seqno, item)| (item.key.collection(), seqno))
        .collect()
}

/// The tombstones that a purge takes.
pub(in crate::logstor) fn due(contents: &Contents, upto: u64, high: u64) -> BTreeSet<u64> {
    let highs: BTreeSet<u64> = highs(contents).into_values().chain([high]).collect();
    let tombstones = contents
        .values()
        .filter(|item| item.deleted)
        .map(|item| item.seqno.0);
    tombstones
        .filter(|&seqno| seqno <= upto && !highs.contains(&seqno))
        .collect()
}

/// Everything a snapshot holds; reads by key and figures must agree.
pub(in crate::logstor) fn contents_of(snapshot: &dyn Snapshot) -> Contents {
    let slice = snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!(slice.next, None);
    for item in &slice.items {
        let found = snapshot
            .get(Namespace::Committed, &item.key)
            .expect("readable");
        assert_eq!(found.as_ref(), Some(item));
    }
    let info = snapshot.info();
    assert_eq!(info.items + info.deleted, slice.items.len() as u64);
    slice
        .items
        .into_iter()
        .map(|item| (item.seqno.0, item))
        .collect()
}

pub(in crate::logstor) fn contents(engine: &dyn Engine, vb: Vbid) -> Contents {
    assert_eq!(engine.check(vb).expect("readable"), [""; 0]);
    contents_of(&*engine.snapshot(vb).expect("there"))
}

pub(in crate::logstor) const STEP: Budget = Budget {
    items: 16,
    bytes: 16 << 10,
};

/// Runs a job to its end; the points it met.
pub(in crate::logstor) fn run(mut job: Box<dyn Job>) -> Result<Vec<&'static str>, EngineError> {
    let mut points = Vec::new();
    loop {
        match job.step(STEP)? {
            Progress::Working { .. } | Progress::Ahead => {}
            Progress::Reached(point) => points.push(point),
            Progress::Done(_) => return Ok(points),
        }
    }
}

/// As [`SMALL`], with an image whenever something was appended.
pub(in crate::logstor) const IMAGES: LogstorConfig = LogstorConfig {
    image_bytes: 0,
    image_percent: u32::MAX,
    ..SMALL
};

/// Everything a store knows when it was opened: for comparing, not for reading.
pub(in crate::logstor) fn dump(engine: &Logstor) -> String {
    engine.store.registry.load_all().expect("readable");
    let vbuckets: String = engine
        .store
        .registry
        .vbuckets
        .read()
        .values()
        .map(|vbucket| vbucket.dump())
        .collect();
    engine.store.log.segments.dump() + &vbuckets
}

/// Gives a directory's images other names, or theirs again.
pub(in crate::logstor) fn hide_images(disk: &impl Disk, is_hidden: bool) -> usize {
    let (from, to) = if is_hidden {
        ("index-", "hidden-")
    } else {
        ("hidden-", "index-")
    };
    let names = disk.list(&dir()).expect("there");
    let images: Vec<_> = names
        .iter()
        .filter_map(|name| Some((name, name.strip_prefix(from)?)))
        .collect();
    for (name, number) in &images {
        disk.rename(&dir().join(name), &dir().join(format!("{to}{number}")))
            .expect("renamed");
    }
    disk.sync_dir(&dir()).expect("synced");
    images.len()
}

/// A disk with the same files, all of them durable.
pub(in crate::logstor) fn fork(disk: &impl Disk) -> MemoryDisk {
    let copy = MemoryDisk::new();
    copy.create_dir(&dir()).expect("made");
    for name in disk.list(&dir()).expect("there") {
        let path = dir().join(name);
        let from = disk.open(&path, Access::ReadOnly).expect("there");
        let mut bytes = vec![0; from.len().expect("known") as usize];
        from.read_at(&mut bytes, 0).expect("read");
        let to = copy.create(&path).expect("made");
        to.write_at(&[&bytes], 0).expect("written");
        to.sync_data().expect("synced");
    }
    copy.sync_dir(&dir()).expect("synced");
    copy
}

/// Makes an image, if anything was appended since the last one.
pub(in crate::logstor) fn make_image(engine: &Logstor) -> Result<(), EngineError> {
    engine
        .maintenance
        .image_job()
        .map_or(Ok(()), |job| run(job).map(drop))
}

/// Counts every record on the disk, and every reference, and compares with what the store believes.
/// Only where nothing else is under way. `exact`: no rollback has made stale counts larger than
/// they need be.
pub(in crate::logstor) fn audit(engine: &Logstor, exact: bool) {
    let store = &engine.store;
    store.registry.load_all().expect("readable");
    let segments: Vec<Arc<Segment>> = store
        .log
        .segments
        .uses()
        .iter()
        .flatten()
        .cloned()
        .collect();
    let mut live: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let by_epoch = store.registry.by_epoch();
    let mut vbuckets: BTreeMap<*const (), _> = BTreeMap::new();
    for vbucket in by_epoch.values().flatten() {
        vbuckets.insert(Arc::as_ptr(vbucket).cast(), Arc::clone(vbucket));
    }
    for Location { segment, len, .. } in vbuckets.values().flat_map(|vbucket| vbucket.locations()) {
        let (bytes, records) = live.entry(segment).or_default();
        *bytes += u64::from(len);
        *records += 1;
    }
    for segment in &segments {
        let (bytes, records) = live.get(&segment.id).copied().unwrap_or_default();
        assert_eq!(
            (segment.live_bytes(), segment.live_records()),
            (bytes, records),
            "segment {}",
            segment.id
        );
    }
    for vbucket in store.registry.vbuckets.read().values() {
        let mut records: BTreeMap<Fingerprint, (u64, BTreeMap<u64, u32>)> = BTreeMap::new();
        let mut highs = CollectionHighSeqnos::default();
        let closed = store.log.segments.closed();
        for segment in &segments {
            let used = closed
                .iter()
                .find(|(of, _)| of.id == segment.id)
                .map(|(_, closed)| closed.used);
            for (epoch, fingerprint, seqno, collection) in items_in(engine, segment, used) {
                if vbucket.lineage.contains(epoch, seqno) {
                    collection
                        .into_iter()
                        .for_each(|collection| highs.insert(collection, seqno));
                    let (count, seqnos) = records.entry(fingerprint).or_default();
                    *count += 1;
                    *seqnos.entry(seqno).or_default() += 1;
                }
            }
        }
        assert_eq!(
            *vbucket.high_seqnos(),
            highs,
            "what the records on the disk say"
        );
        let named: BTreeSet<u64> = vbucket.slots().iter().map(|slot| slot.seqno).collect();
        assert!(highs.seqnos().is_subset(&named), "{highs:?} of {named:?}");
        let mut given_up = vbucket.reclaimed_tombstones();
        for slot in vbucket.slots() {
            let (count, seqnos) = records
                .remove(&slot.fingerprint)
                .expect("its record is there");
            let uncounted: u32 = seqnos
                .keys()
                .filter_map(|seqno| given_up.remove(seqno))
                .sum();
            let others = count - 1 - u64::from(uncounted);
            assert!(
                u64::from(slot.other_copies) >= others,
                "{slot:?}: {others} other records: too few are counted"
            );
            assert!(
                !exact || u64::from(slot.other_copies) == others,
                "{slot:?}: {others} other records"
            );
        }
        for (_, (count, seqnos)) in records {
            let known: u32 = seqnos
                .keys()
                .filter_map(|seqno| given_up.remove(seqno))
                .sum();
            assert_eq!(
                u64::from(known),
                count,
                "records that would come back: {seqnos:?}"
            );
        }
    }
}

/// Of each record: epoch, fingerprint, seqno and collection.
type Counted = (u32, Fingerprint, u64, Option<u32>);

fn items_in(engine: &Logstor, segment: &Segment, used: Option<u32>) -> Vec<Counted> {
    let bytes = segment.read(0, segment.bytes as usize).expect("readable");
    let hash_key = engine.store.context.hash_key;
    let valid = |generation| {
        Some(if generation == segment.generation {
            used.unwrap_or(segment.bytes)
        } else {
            0
        })
    };
    let frames = scan_frames(&bytes, segment.id, hash_key, valid);
    let mut items = Vec::new();
    let mut push = |peek: &RecordView<'_>| {
        let Some(operation) = peek.operation else {
            return;
        };
        let namespace = operation.namespace().expect("stored");
        let fingerprint = Fingerprint::of(hash_key, namespace, peek.key);
        items.push((
            peek.epoch,
            fingerprint,
            peek.seqno,
            collection_of_record(peek),
        ));
    };
    for frame in frames.frames {
        if let Some(fragment) = frame.header.fragment() {
            if fragment.index == 0 {
                let len = u32::from_be_bytes(*bytes[68..].first_chunk().expect("4"));
                let at = Location {
                    segment: segment.id,
                    offset: 64,
                    len,
                };
                push(
                    &RecordView::verified(&segment.read_record(at).expect("readable"))
                        .expect("sound"),
                );
            }
            continue;
        }
        let payload = payload_of(&bytes, frame.offset, &frame.header).expect("there");
        records_in(payload, frame.offset).for_each(|record| push(&record.expect("sound").1));
    }
    items
}

pub(in crate::logstor) fn log_path(number: u32) -> PathBuf {
    Path::new("/store").join(format!("log-{number:08}"))
}

/// Bytes that are the same each time, and different for each seed.
pub(in crate::logstor) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed as u32 ^ 0x9e37_79b9;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
}
