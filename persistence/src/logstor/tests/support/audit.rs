//! An audit of an open store. It counts every record on the disk and every reference of the index,
//! and compares both with the counts of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::logstor::Logstor;
use crate::logstor::format::{
    CollectionHighSeqnos, Fingerprint, Location, RecordView, collection_of_record, payload_of,
    records_in, scan_frames,
};
use crate::logstor::log::Segment;

/// Compares the records on the disk and the references of the index with the counts of the store.
/// No job and no commit may be under way. Set `exact` unless a rollback has made the counts of
/// other copies too large.
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
        let mut reclaimed = vbucket.reclaimed_tombstones();
        for slot in vbucket.slots() {
            let (count, seqnos) = records
                .remove(&slot.fingerprint)
                .expect("its record is there");
            let uncounted: u32 = seqnos
                .keys()
                .filter_map(|seqno| reclaimed.remove(seqno))
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
                .filter_map(|seqno| reclaimed.remove(seqno))
                .sum();
            assert_eq!(
                u64::from(known),
                count,
                "records that would come back: {seqnos:?}"
            );
        }
    }
}

/// Epoch, fingerprint, seqno and collection of a record.
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
    let mut push = |view: &RecordView<'_>| {
        let Some(operation) = view.operation else {
            return;
        };
        let namespace = operation.namespace().expect("stored");
        let fingerprint = Fingerprint::of(hash_key, namespace, view.key);
        items.push((
            view.epoch,
            fingerprint,
            view.seqno,
            collection_of_record(view),
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
