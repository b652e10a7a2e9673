//! Opening a stream: the checks, in the order a client may rely on, and the cursor that feeds it.
//!
//! What always holds (S12): of several things that are wrong with a request the first in this order is told: the vBucket,
//! missing no-operations, the range, a filter, a stream that is open already, a history that is not the vBucket's, the
//! range once more with the end that the flags say. What is refused leaves nothing behind.

use checkpoint::{Seqno, SnapshotType, State, VBucket, VbUuid};

use super::active_stream::{ActiveStream, Opening};
use super::stream_key::StreamKey;
use super::{ClientPosition, History, Partitions, Producer, ProducerError, rollback_to};
use crate::wire::{Reply, Request, Response, Status, StreamRequest, StreamRequestFlags};

/// What this producer can do; the other known flags are answered with "not supported".
const SUPPORTED: StreamRequestFlags = StreamRequestFlags::DISK_ONLY
    .with(StreamRequestFlags::TO_LATEST)
    .with(StreamRequestFlags::ACTIVE_ONLY)
    .with(StreamRequestFlags::STRICT_VB_UUID)
    .with(StreamRequestFlags::FROM_LATEST)
    .with(StreamRequestFlags::IGNORE_PURGED_TOMBSTONES);

/// Connections between nodes begin with this; their cursors stay unless they say otherwise.
const REPLICATION: &[u8] = b"replication";

impl Producer {
    pub(super) fn open_stream(
        &mut self,
        request: &Request,
        wanted: &StreamRequest,
        partitions: &impl Partitions,
    ) -> Result<(), ProducerError> {
        let key = StreamKey { vb: request.vb, id: None };
        let reply = match self.try_open_stream(request, wanted, key, partitions) {
            Ok(reply) => reply,
            Err(status) => return self.respond(&Response::to(request, status)),
        };
        self.respond(&Response { opaque: request.opaque, reply })?;
        if self.streams.contains_key(&key) {
            self.make_ready(key);
        }
        Ok(())
    }

    fn try_open_stream(
        &mut self,
        request: &Request,
        wanted: &StreamRequest,
        key: StreamKey,
        partitions: &impl Partitions,
    ) -> Result<Reply, Status> {
        let has = |flag| wanted.flags.contains(flag);
        let vbucket = partitions.vbucket(key.vb).ok_or(Status::NOT_MY_VBUCKET)?;
        if has(StreamRequestFlags::ACTIVE_ONLY) && vbucket.state() != State::Active {
            return Err(Status::NOT_MY_VBUCKET);
        }
        let wanted = &with_latest(wanted, vbucket);
        // A client of collections must be one that notices a dead connection.
        if !self.options.noop {
            return Err(Status::NOT_SUPPORTED);
        }
        if wanted.start > wanted.end || !(wanted.snapshot_start..=wanted.snapshot_end).contains(&wanted.start)
        {
            return Err(Status::RANGE);
        }
        if !SUPPORTED.contains(wanted.flags) || !wanted.filter.is_empty() {
            return Err(Status::NOT_SUPPORTED);
        }
        if self.streams.contains_key(&key) {
            return Err(Status::EXISTS);
        }
        let (log, high) = (vbucket.failover_log(), vbucket.high_seqno());
        let history = History { log: &log, high, purge: partitions.purge_seqno(key.vb) };
        let position = position(wanted);
        if let Some(seqno) = rollback_to(&position, &history) {
            return Ok(Reply::Rollback(seqno));
        }
        let end = if has(StreamRequestFlags::DISK_ONLY) {
            partitions.persisted_seqno(key.vb)
        } else if has(StreamRequestFlags::TO_LATEST) {
            high
        } else {
            wanted.end
        };
        if wanted.start > end || wanted.start > high {
            return Err(Status::RANGE);
        }
        if is_receiving_first_snapshot(vbucket) {
            return Err(Status::TEMPORARY_FAILURE);
        }
        let opening = Opening {
            key,
            opaque: request.opaque,
            wanted,
            end,
            client_purge: position.purge,
            cursor_name: key.cursor_name(&self.name),
            is_droppable: !self.client_name.starts_with(REPLICATION) || self.options.cursor_dropping,
        };
        let stream = ActiveStream::open(opening, vbucket).map_err(|_| Status::RANGE)?;
        self.streams.insert(key, stream);
        Ok(Reply::StreamAccepted(log.entries().to_vec()))
    }
}

/// Until it has all of that there is nothing it could send that makes sense.
fn is_receiving_first_snapshot(vbucket: &VBucket) -> bool {
    let range = vbucket.manager().open_range();
    range.snapshot_type == SnapshotType::InitialDisk && range.last != Some(range.end)
}

fn with_latest(wanted: &StreamRequest, vbucket: &VBucket) -> StreamRequest {
    let mut wanted = wanted.clone();
    if wanted.flags.contains(StreamRequestFlags::FROM_LATEST) {
        let high = vbucket.high_seqno();
        (wanted.start, wanted.snapshot_start, wanted.snapshot_end) = (high, high, high);
        if wanted.uuid == VbUuid(0) {
            wanted.uuid = vbucket.failover_log().newest().uuid;
        }
    }
    wanted
}

fn position(wanted: &StreamRequest) -> ClientPosition {
    ClientPosition {
        uuid: wanted.uuid,
        start: wanted.start,
        snapshot_start: wanted.snapshot_start,
        snapshot_end: wanted.snapshot_end,
        strict_uuid: wanted.flags.contains(StreamRequestFlags::STRICT_VB_UUID),
        purge: Seqno::ZERO,
        ignore_purged: wanted.flags.contains(StreamRequestFlags::IGNORE_PURGED_TOMBSTONES),
    }
}
