//! Manifests of version 1, in which a purge is a seqno: their bytes go in, what they mean comes out. They are only read: the
//! file is made anew, in the current version, whenever the store is opened.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::FRAME_BYTES_MAX;
use super::edit::{Base, Edit, Lineage, Retired, Sketch, VBucketEntry};
use crate::logstor::config::Geometry;
use crate::logstor::purged::Purged;
use crate::record::{self, NoRecord};

const KIND: [u8; 8] = *b"lowtide\x01";

#[derive(Deserialize)]
struct OldEntry {
    lineage: Lineage,
    base: Base,
    purge: u64,
}

#[derive(Deserialize)]
struct OldSketch {
    kind: [u8; 8],
    geometry: Geometry,
    hash_key: [u64; 2],
    next_epoch: u32,
    vbuckets: BTreeMap<u16, OldEntry>,
    retired: BTreeMap<u32, (u64, u32)>,
}

#[derive(Deserialize)]
enum OldEdit {
    Create { vb: u16 },
    Drop { vb: u16 },
    Purge { vb: u16, upto: u64 },
    RollBack { vb: u16, purge: u64, base: Base },
    Retire(Vec<Retired>),
    Reserve { epoch: u32 },
    Adopt { vb: u16, epoch: u32, purge: u64 },
}

/// What such a manifest begins with; `None` if it is of another version.
pub(super) fn sketch(bytes: &[u8]) -> Option<(Sketch, usize)> {
    let (old, len) = record::decode::<OldSketch>(bytes, FRAME_BYTES_MAX).ok()?;
    let OldSketch { kind, geometry, hash_key, next_epoch, vbuckets, retired } = old;
    let entry = |OldEntry { lineage, base, purge }| VBucketEntry {
        lineage,
        base,
        purged: Purged::of_version_1(purge),
    };
    let vbuckets = vbuckets.into_iter().map(|(vb, old)| (vb, entry(old))).collect();
    let sketch = Sketch { next_epoch, vbuckets, retired, ..Sketch::new(geometry, hash_key) };
    (kind == KIND && sketch.is_sound()).then_some((sketch, len))
}

/// An edit behind it.
pub(super) fn edit(bytes: &[u8]) -> Result<(Edit, usize), NoRecord> {
    let (old, len) = record::decode::<OldEdit>(bytes, FRAME_BYTES_MAX)?;
    let edit = match old {
        OldEdit::Create { vb } => Edit::Create { vb },
        OldEdit::Drop { vb } => Edit::Drop { vb },
        OldEdit::Purge { vb, upto } => Edit::Purge { vb, purged: Purged::of_version_1(upto) },
        OldEdit::RollBack { vb, purge, base } => {
            Edit::RollBack { vb, purged: Purged::of_version_1(purge), base }
        }
        OldEdit::Retire(retired) => Edit::Retire(retired),
        OldEdit::Reserve { epoch } => Edit::Reserve { epoch },
        OldEdit::Adopt { vb, epoch, purge } => Edit::Adopt { vb, epoch, purged: Purged::of_version_1(purge) },
    };
    Ok((edit, len))
}
