//! A message: one event with its version and its checksum.

use lowtide_checkpoint::{
    FailoverEntry, FailoverLog, Item, ResumePoint, Seqno, SnapshotMarker, SnapshotType, State,
    VbUuid,
};

use super::error::DeliveryError;
use super::fields::{Fields, flag, put_u64};
use super::item;
use crate::hosted::follower::event::{FollowerEvent, FollowerItems};

const VERSION: u8 = 1;

const BRANCHES: u8 = 1;
const SNAPSHOT: u8 = 2;
const ITEMS: u8 = 3;
const SNAPSHOT_END: u8 = 4;
const ROLLED_BACK: u8 = 5;
const STATE_CHANGED: u8 = 6;
const ENDED: u8 = 7;

const EXTEND: u8 = 1;
const HISTORY: u8 = 2;
const MAY_REPEAT_KEYS: u8 = 4;
/// The bits of the seqnos that a marker may lack, in their order.
const OPTIONAL: [u8; 4] = [8, 16, 32, 64];

const FROM_DISK: u8 = 1;

/// Snapshot types by their codes, from 1 on.
const TYPES: [SnapshotType; 3] = [
    SnapshotType::Memory,
    SnapshotType::Disk,
    SnapshotType::InitialDisk,
];

/// States by their codes, from 1 on.
const STATES: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];

const CHECKSUM_BYTES: usize = 4;

impl FollowerEvent {
    /// Returns the event as a message, for a transport that keeps messages apart. A stream of bytes
    /// takes [`FollowerEvent::write_to`].
    ///
    /// O(bytes of the items).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let out = Vec::new();
        match self {
            Self::Branches(log) => message(out, BRANCHES, |out| {
                for entry in log.entries() {
                    put_u64(out, entry.uuid.0);
                    put_u64(out, entry.seqno.0);
                }
            }),
            Self::Snapshot(marker) => message(out, SNAPSHOT, |out| put_marker(out, marker)),
            Self::Items(items) => of_items(out, items.iter(), items.are_from_disk()),
            Self::SnapshotEnd(point) => message(out, SNAPSHOT_END, |out| {
                out.extend_from_slice(&point.to_bytes());
            }),
            Self::RolledBack { to } => message(out, ROLLED_BACK, |out| put_u64(out, to.0)),
            Self::StateChanged(state) => {
                message(out, STATE_CHANGED, |out| out.push(state_code(*state)))
            }
            Self::Ended(state) => message(out, ENDED, |out| out.push(state_code(*state))),
        }
    }

    /// Returns the event that a message is.
    ///
    /// It uses memory in proportion to the bytes of the message. O(bytes).
    ///
    /// # Errors
    /// Any but [`DeliveryError::FrameHead`], [`DeliveryError::TooLong`] and
    /// [`DeliveryError::Stream`]: the message is not whole, was changed, or is of another version.
    pub fn from_bytes(message: &[u8]) -> Result<Self, DeliveryError> {
        let mut head = Fields::new(message);
        // First: another version may end with another checksum.
        match head.u8("the version")? {
            VERSION => {}
            found => return Err(DeliveryError::Version { found }),
        }
        let what = "the checksum";
        let split = message.split_last_chunk::<CHECKSUM_BYTES>();
        let (checked, stated) = split.ok_or(DeliveryError::Incomplete { what })?;
        let (computed, stated) = (crc32c::crc32c(checked), u32::from_be_bytes(*stated));
        if computed != stated {
            return Err(DeliveryError::Checksum { computed, stated });
        }
        let mut fields = Fields::new(checked);
        let _version = fields.u8("the version")?;
        let tag = fields.u8("the tag")?;
        let event = decode(tag, &mut fields)?;
        fields.end()?;
        Ok(event)
    }
}

/// Returns a message after what `out` has.
fn message(mut out: Vec<u8>, tag: u8, put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    out.extend_from_slice(&[VERSION, tag]);
    put(&mut out);
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_be_bytes());
    out
}

/// Returns a message of items.
pub(super) fn of_items<'a>(
    out: Vec<u8>,
    items: impl Iterator<Item = &'a Item>,
    are_from_disk: bool,
) -> Vec<u8> {
    message(out, ITEMS, |out| {
        out.push(flag(are_from_disk, FROM_DISK));
        items.for_each(|item| item::encode(item, out));
    })
}

fn put_marker(out: &mut Vec<u8>, marker: &SnapshotMarker) {
    let optional = [
        marker.visible,
        marker.high_completed_seqno,
        marker.high_prepared_seqno,
        marker.purge_seqno,
    ];
    let present = OPTIONAL.iter().zip(&optional);
    let present = present.fold(0, |bits, (&bit, seqno)| bits | flag(seqno.is_some(), bit));
    let snapshot_type = match marker.snapshot_type {
        SnapshotType::Memory => 1,
        SnapshotType::Disk => 2,
        SnapshotType::InitialDisk => 3,
    };
    out.push(snapshot_type);
    out.push(
        flag(marker.extend, EXTEND)
            | flag(marker.history, HISTORY)
            | flag(marker.may_repeat_keys, MAY_REPEAT_KEYS)
            | present,
    );
    put_u64(out, marker.start.0);
    put_u64(out, marker.end.0);
    let present = optional.iter().flatten();
    present.for_each(|seqno| put_u64(out, seqno.0));
}

fn state_code(state: State) -> u8 {
    match state {
        State::Active => 1,
        State::Replica => 2,
        State::Pending => 3,
        State::Dead => 4,
    }
}

fn decode(tag: u8, fields: &mut Fields<'_>) -> Result<FollowerEvent, DeliveryError> {
    Ok(match tag {
        BRANCHES => FollowerEvent::Branches(branches(fields)?),
        SNAPSHOT => FollowerEvent::Snapshot(marker(fields)?),
        ITEMS => FollowerEvent::Items(items(fields)?),
        SNAPSHOT_END => FollowerEvent::SnapshotEnd(resume_point(fields)?),
        ROLLED_BACK => FollowerEvent::RolledBack {
            to: Seqno(fields.u64("the seqno to go back to")?),
        },
        STATE_CHANGED => FollowerEvent::StateChanged(fields.code(&STATES, "the state")?),
        ENDED => FollowerEvent::Ended(fields.code(&STATES, "the state")?),
        found => {
            let what = "the tag";
            return Err(DeliveryError::Undefined { what, found });
        }
    })
}

fn branches(fields: &mut Fields<'_>) -> Result<FailoverLog, DeliveryError> {
    let mut entries = Vec::new();
    while !fields.is_empty() {
        entries.push(FailoverEntry {
            uuid: VbUuid(fields.u64("the name of a branch")?),
            seqno: Seqno(fields.u64("the seqno of a branch")?),
        });
    }
    let (found, max) = (entries.len(), FailoverLog::ENTRIES_MAX);
    if found > max {
        return Err(DeliveryError::TooManyBranches { found, max });
    }
    Ok(FailoverLog::from_entries(entries)?)
}

fn marker(fields: &mut Fields<'_>) -> Result<SnapshotMarker, DeliveryError> {
    let snapshot_type = fields.code(&TYPES, "the snapshot type")?;
    let flags = fields.flags(0x7f, "the flag byte of a snapshot")?;
    let start = Seqno(fields.u64("the start of a snapshot")?);
    let end = Seqno(fields.u64("the end of a snapshot")?);
    let mut optional = [None; 4];
    for (place, bit) in optional.iter_mut().zip(OPTIONAL) {
        if flags & bit != 0 {
            *place = Some(Seqno(fields.u64("a seqno of a snapshot")?));
        }
    }
    let [
        visible,
        high_completed_seqno,
        high_prepared_seqno,
        purge_seqno,
    ] = optional;
    Ok(SnapshotMarker {
        visible,
        high_completed_seqno,
        high_prepared_seqno,
        purge_seqno,
        extend: flags & EXTEND != 0,
        history: flags & HISTORY != 0,
        may_repeat_keys: flags & MAY_REPEAT_KEYS != 0,
        ..SnapshotMarker::new(snapshot_type, start, end)
    })
}

fn items(fields: &mut Fields<'_>) -> Result<FollowerItems, DeliveryError> {
    let flags = fields.flags(FROM_DISK, "the flag byte of items")?;
    let mut items: Vec<Item> = Vec::new();
    let mut previous = Seqno::ZERO;
    while !fields.is_empty() {
        let item = item::decode(fields)?;
        let seqno = item.seqno;
        if seqno <= previous {
            return Err(DeliveryError::Order { seqno, previous });
        }
        previous = seqno;
        items.push(item);
    }
    Ok(FollowerItems::received(items, flags & FROM_DISK != 0))
}

fn resume_point(fields: &mut Fields<'_>) -> Result<ResumePoint, DeliveryError> {
    let bytes = fields.bytes(32, "a resume point")?;
    ResumePoint::from_bytes(bytes).ok_or(DeliveryError::ResumePoint)
}
