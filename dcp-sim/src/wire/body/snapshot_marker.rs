//! Announcement of a snapshot: the seqno range of the items that follow, and their source.
//!
//! DCP_SNAPSHOT_MARKER is sent by the producer and answered only if `ACK` is set. No key.
//!
//! | field | bytes | first form | 2.0 | 2.2 |
//! |---|---|---|---|---|
//! | version | 1 | | extras: 0 | extras: 2 |
//! | start | 8 | extras | value | value |
//! | end | 8 | extras | value | value |
//! | flags | 4 | extras | value | value |
//! | highest visible seqno | 8 | | value | value |
//! | high completed seqno | 8 | | value | value |
//! | purge seqno | 8 | | | value |
//! | high prepared seqno | 8 | | | value |
//!
//! Form 2.1 belonged to a removed feature and is refused.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/snapshot-marker.md`.

use bytes::{BufMut, Bytes};
use lowtide_checkpoint::{Seqno, SnapshotMarker, SnapshotType};

use super::parts::{Body, Parts};
use crate::wire::error::WireError;
use crate::wire::fields::{Extras, Reader};
use crate::wire::flags::bit_set;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

bit_set! {
    /// Kind of the snapshot that follows.
    MarkerFlags {
        /// From memory.
        MEMORY = 0x01,
        /// From disk.
        DISK = 0x02,
        /// A replica starts a checkpoint; without this flag it continues the open one.
        CHECKPOINT = 0x04,
        /// The consumer answers this marker.
        ACK = 0x08,
        /// Every revision is included.
        HISTORY = 0x10,
        /// A key may occur more than once.
        MAY_DUPLICATE_KEYS = 0x20,
    }
}

/// Form of a marker, with the fields that only this form has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarkerForm {
    /// The first form.
    V1,
    /// For replicas and consumers of durable writes.
    V2_0 {
        /// Highest seqno that a reader without durable writes may see.
        max_visible: Seqno,
        /// All prepares up to it are resolved. Meaningful only in snapshots from disk.
        high_completed: Seqno,
    },
    /// For consumers that set `max_marker_version`.
    V2_2 {
        /// Highest seqno that a reader without durable writes may see.
        max_visible: Seqno,
        /// All prepares up to it are resolved. Meaningful only in snapshots from disk.
        high_completed: Seqno,
        /// Tombstones up to it may be purged.
        purge_seqno: Seqno,
        /// Highest prepare that reached its durability on the sender. Meaningful only in snapshots
        /// from disk.
        high_prepared: Seqno,
    },
}

/// Announces a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// First seqno of the range. The first marker of a stream starts at the seqno that the client
    /// named.
    pub start: Seqno,
    /// Last seqno. The snapshot is complete with an item, or an advance, that reaches it.
    pub end: Seqno,
    /// Kind of the snapshot.
    pub flags: MarkerFlags,
    /// The form, with its own fields.
    pub form: MarkerForm,
}

const VERSION_2_0: u8 = 0;
const VERSION_2_2: u8 = 2;

impl Marker {
    /// Builds the marker for `snapshot` in the first form, which every client understands.
    ///
    /// A snapshot from disk starts a checkpoint, and one with history may duplicate keys. The
    /// initial disk snapshot is an ordinary disk snapshot on the wire: the consumer knows whether
    /// it has data yet.
    #[must_use]
    pub fn from_snapshot(snapshot: &SnapshotMarker) -> Self {
        let mut flags = if snapshot.snapshot_type.is_disk() {
            MarkerFlags::DISK
        } else {
            MarkerFlags::MEMORY
        };
        if snapshot.snapshot_type.is_disk() || !snapshot.extend {
            flags = flags.with(MarkerFlags::CHECKPOINT);
        }
        if snapshot.history {
            flags = flags.with(MarkerFlags::HISTORY);
        }
        if snapshot.history || snapshot.may_repeat_keys {
            flags = flags.with(MarkerFlags::MAY_DUPLICATE_KEYS);
        }
        Self {
            start: snapshot.start,
            end: snapshot.end,
            flags,
            form: MarkerForm::V1,
        }
    }

    /// Same as [`Marker::from_snapshot`], in form 2.0. An unknown seqno is sent as 0.
    #[must_use]
    pub fn from_snapshot_v2_0(snapshot: &SnapshotMarker) -> Self {
        let form = MarkerForm::V2_0 {
            max_visible: snapshot.visible.unwrap_or(snapshot.end),
            high_completed: snapshot.high_completed_seqno.unwrap_or_default(),
        };
        Self {
            form,
            ..Self::from_snapshot(snapshot)
        }
    }

    /// Same as [`Marker::from_snapshot`], in form 2.2. An unknown seqno is sent as 0.
    #[must_use]
    pub fn from_snapshot_v2_2(snapshot: &SnapshotMarker) -> Self {
        let form = MarkerForm::V2_2 {
            max_visible: snapshot.visible.unwrap_or(snapshot.end),
            high_completed: snapshot.high_completed_seqno.unwrap_or_default(),
            purge_seqno: snapshot.purge_seqno.unwrap_or_default(),
            high_prepared: snapshot.high_prepared_seqno.unwrap_or_default(),
        };
        Self {
            form,
            ..Self::from_snapshot(snapshot)
        }
    }

    /// Returns the announced snapshot. Fields that are meaningful only in snapshots from disk are
    /// dropped in one from memory.
    #[must_use]
    pub fn to_snapshot(&self) -> SnapshotMarker {
        let disk = self.flags.contains(MarkerFlags::DISK);
        let (visible, completed, prepared, purge) = match self.form {
            MarkerForm::V1 => (None, None, None, None),
            MarkerForm::V2_0 {
                max_visible,
                high_completed,
            } => (Some(max_visible), Some(high_completed), None, None),
            MarkerForm::V2_2 {
                max_visible,
                high_completed,
                high_prepared,
                purge_seqno,
            } => (
                Some(max_visible),
                Some(high_completed),
                Some(high_prepared),
                Some(purge_seqno),
            ),
        };
        SnapshotMarker {
            start: self.start,
            end: self.end,
            snapshot_type: if disk {
                SnapshotType::Disk
            } else {
                SnapshotType::Memory
            },
            visible,
            high_completed_seqno: completed.filter(|_| disk),
            high_prepared_seqno: prepared.filter(|_| disk),
            purge_seqno: purge.filter(|_| disk),
            extend: !disk && !self.flags.contains(MarkerFlags::CHECKPOINT),
            history: self.flags.contains(MarkerFlags::HISTORY),
            may_repeat_keys: self.flags.contains(MarkerFlags::MAY_DUPLICATE_KEYS),
        }
    }

    fn read_range(fields: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            start: Seqno(fields.u64()?),
            end: Seqno(fields.u64()?),
            flags: MarkerFlags::read(Self::OPCODE, fields.u32()?)?,
            form: MarkerForm::V1,
        })
    }
}

impl Body for Marker {
    const OPCODE: Opcode = Opcode::DCP_SNAPSHOT_MARKER;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        frame.raw()?;
        frame.no_key()?;
        let mut extras = frame.extras_fields();
        if frame.extras.len() != 1 {
            let marker = Self::read_range(&mut extras)?;
            extras.finish()?;
            frame.no_value()?;
            return Ok(marker);
        }
        let version = extras.u8()?;
        let mut value = frame.value_fields();
        if version != VERSION_2_0 && version != VERSION_2_2 {
            return Err(frame.bad("marker version", version));
        }
        let mut marker = Self::read_range(&mut value)?;
        let max_visible = Seqno(value.u64()?);
        let high_completed = Seqno(value.u64()?);
        marker.form = if version == VERSION_2_0 {
            MarkerForm::V2_0 {
                max_visible,
                high_completed,
            }
        } else {
            MarkerForm::V2_2 {
                max_visible,
                high_completed,
                purge_seqno: Seqno(value.u64()?),
                high_prepared: Seqno(value.u64()?),
            }
        };
        value.finish()?;
        Ok(marker)
    }

    fn write(&self, parts: &mut Parts) {
        let (version, fields) = match self.form {
            MarkerForm::V1 => {
                parts.extras = Extras::new()
                    .u64(self.start.0)
                    .u64(self.end.0)
                    .u32(self.flags.0);
                return;
            }
            MarkerForm::V2_0 {
                max_visible,
                high_completed,
            } => (
                VERSION_2_0,
                [Some(max_visible), Some(high_completed), None, None],
            ),
            MarkerForm::V2_2 {
                max_visible,
                high_completed,
                purge_seqno,
                high_prepared,
            } => (
                VERSION_2_2,
                [
                    Some(max_visible),
                    Some(high_completed),
                    Some(purge_seqno),
                    Some(high_prepared),
                ],
            ),
        };
        let mut value = Vec::with_capacity(52);
        value.put_u64(self.start.0);
        value.put_u64(self.end.0);
        value.put_u32(self.flags.0);
        fields
            .into_iter()
            .flatten()
            .for_each(|seqno| value.put_u64(seqno.0));
        parts.extras = Extras::new().u8(version);
        parts.value = Bytes::from(value);
    }
}
