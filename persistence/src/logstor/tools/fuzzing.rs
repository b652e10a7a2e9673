//! The entry points of the fuzz targets, and of the tests of mutated stores. They take any bytes.
//!
//! *L34.* Whatever a log store's directory holds, opening it ends in a store or in an error that
//! locates the damage. It does not panic, loop for ever, or take memory beyond a multiple of what
//! is on disk. What a check calls sound opens, and passes the engine's own check. What opens keeps
//! what it acknowledges. A violation is a panic here.

mod base;
mod seal;

use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid,
};

use self::base::{CONFIG, directory};
use super::check::check_store;
use super::inspect::{LogFinding, LogFindingKind};
use crate::contract::{
    Budget, CommitBatch, CompactionRequest, Engine, EngineError, JobProgress, ScanLimit, Severity,
};
use crate::disk::MemoryDisk;
use crate::logstor::config::Geometry;
use crate::logstor::engine::Logstor;
use crate::logstor::format::{
    FrameHeader, RecordView, decode_item, decode_state, encode_item, encode_state, payload_of,
    records_in, scan_frames, to_usize, u32_at,
};

/// The highest seqno of a vBucket that the fuzzer commits to.
const SEQNO_MAX: u64 = u64::MAX - 8;

/// Takes bytes for changes to a store's directory, or for all of it. Checks, opens, reads, commits
/// to and compacts the store.
pub fn store(bytes: &[u8]) {
    let Some(disk) = base::make(bytes) else {
        return;
    };
    let mut findings: Vec<LogFinding> = Vec::new();
    let checked = check_store(Arc::new(disk.clone()), directory(), &mut findings);
    // Opening ignores a damaged image.
    let is_damage = |finding: &LogFinding| {
        finding.kind != LogFindingKind::Image && finding.severity() == Severity::Damage
    };
    let is_sound = checked.inspect_err(expect_typed).is_ok() && !findings.iter().any(is_damage);
    let Some(engine) = open(&disk) else {
        assert!(
            !is_sound,
            "it does not open, and a check says nothing: {findings:?}"
        );
        return;
    };
    let vbs = engine.vbuckets();
    for &vb in &vbs {
        // Before anything is loaded.
        let _found = checked_result(engine.get(vb, Namespace::Committed, &Key::new(b"key-3")));
    }
    for &vb in &vbs {
        // A large record may be damaged.
        if let Some(wrong) = checked_result(engine.check(vb)) {
            assert!(wrong.is_empty() || !is_sound, "{wrong:?}");
        }
        read(&engine, vb);
    }
    let Some(&vb) = vbs.first() else { return };
    if let Some(item) = write(&engine, vb) {
        let compacted = engine.compact(vb, CompactionRequest::default());
        if let Some(mut job) = checked_result(compacted) {
            while !matches!(
                checked_result(job.step(Budget::NONE)),
                None | Some(JobProgress::Done(_))
            ) {}
        }
        assert!(
            checked_result(engine.close()).is_some(),
            "nothing is wrong with the disk"
        );
        drop(engine);
        let again = open(&disk);
        let found = again
            .and_then(|engine| checked_result(engine.get(vb, Namespace::Committed, &item.key)));
        assert!(
            found.flatten().as_ref() == Some(&item),
            "what was acknowledged is there"
        );
    }
}

/// Checks the kind of an error. The disk and all arguments are sound, so only the contents of the
/// store can be wrong.
fn expect_typed(error: &EngineError) {
    assert!(
        ["corrupt", "unsupported", "no-space"].contains(&error.kind()),
        "{error:?}"
    );
}

fn checked_result<T>(result: Result<T, EngineError>) -> Option<T> {
    result.inspect_err(expect_typed).ok()
}

fn open(disk: &MemoryDisk) -> Option<Logstor> {
    checked_result(Logstor::open(Arc::new(disk.clone()), directory(), CONFIG))
        .map(|(engine, _)| engine)
}

fn read(engine: &Logstor, vb: Vbid) {
    let Some(snapshot) = checked_result(engine.snapshot(vb)) else {
        return;
    };
    let mut from = Seqno(0);
    let mut last = None;
    while let Some(slice) = checked_result(snapshot.scan(
        from,
        Seqno::MAX,
        ScanLimit {
            items: 50,
            bytes: 1 << 16,
        },
    )) {
        for item in &slice.items {
            assert!(last < Some(item.seqno), "seqnos rise");
            last = Some(item.seqno);
        }
        let Some(next) = slice.next else { break };
        assert!(next > from, "a scan comes nearer to its end");
        from = next;
    }
}

fn write(engine: &Logstor, vb: Vbid) -> Option<Item> {
    let high = checked_result(engine.info(vb))?.high.0;
    if high > SEQNO_MAX {
        return None;
    }
    let item = Item {
        seqno: Seqno(high + 1),
        ..Item::mutation(
            Key::new(b"key-3"),
            Bytes::from_static(b"written by the fuzzer"),
        )
    };
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let batch = CommitBatch {
        vb,
        items: &[&item],
        state: &state,
        timestamp: 1,
    };
    let _committed = engine.commit(&[batch]).pop().and_then(checked_result)?;
    Some(item)
}

/// Takes bytes for a header, and for a segment's frames.
pub fn frame(bytes: &[u8]) {
    let key = CONFIG.hash_key;
    let mut sealed = bytes.to_vec();
    seal::header(&mut sealed, key);
    for bytes in [bytes, &sealed] {
        let segment = u32_at(bytes, 56).unwrap_or(0);
        if let Some(header) = FrameHeader::decode(bytes, segment, key) {
            let again = header.encode(key);
            assert!(
                bytes.starts_with(&again),
                "a header is what it was read from"
            );
        }
    }
    let mut segment = bytes.to_vec();
    segment.resize(to_usize(Geometry::new(&CONFIG).segment_bytes), 0);
    seal::segment(&mut segment, key);
    let found = scan_frames(&segment, 0, key, |_| None);
    for frame in found.frames.iter().filter(|frame| frame.is_whole) {
        let payload = payload_of(&segment, frame.offset, &frame.header);
        assert!(payload.is_some(), "a whole frame has its payload");
        let records = payload.map(|payload| records_in(payload, frame.offset));
        for (offset, record) in records.into_iter().flatten().flatten() {
            assert!(to_usize(offset) + to_usize(record.len) <= segment.len());
        }
    }
}

/// Takes bytes for a record, and for a vBucket's state.
pub fn record(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal::record(&mut sealed);
    for bytes in [bytes, &sealed] {
        let Some(peek) = RecordView::verified(bytes) else {
            continue;
        };
        assert!(to_usize(peek.len) <= bytes.len());
        let Some(item) = decode_item(&Bytes::copy_from_slice(bytes)) else {
            continue;
        };
        let mut again = Vec::new();
        let len = encode_item(&mut again, peek.epoch, &item);
        let back = decode_item(&Bytes::from(again));
        // A longer encoding than necessary is the same item.
        assert!(
            len.is_some() && back.as_ref() == Some(&item),
            "{item:?} became {back:?}"
        );
    }
    if let Some(known) = decode_state(bytes) {
        let again = encode_state(&known).and_then(|bytes| decode_state(&bytes));
        assert_eq!(again, Some(known));
    }
}
