//! Stream requests: the checks, in an order that clients may rely on, and the cursor that feeds the
//! stream.
//!
//! # Invariants
//!
//! - S12. Of several defects the first in this order is reported, and a refused request leaves
//!   nothing behind:
//!
//! 1. a filter on a connection without Collections;
//! 2. the vBucket;
//! 3. missing no-operations;
//! 4. the range;
//! 5. the filter;
//! 6. the stream id;
//! 7. features that exclude one another;
//! 8. a stream that is open already;
//! 9. a history that differs from the vBucket's;
//! 10. the range again, with the end that the flags define.

use lowtide_checkpoint::{
    FailoverLog, ResumePoint, ResumeRequest, Seqno, ServedHistory, SnapshotType, State, VBucket,
    VbUuid,
};

use super::producer::Producer;
use crate::producer::error::ProducerError;
use crate::producer::filter::FilterRequest;
use crate::producer::partitions::Partitions;
use crate::producer::stream::{ActiveStream, Opening};
use crate::producer::stream_key::StreamKey;
use crate::wire::{Reply, Request, Response, Status, StreamRequest, StreamRequestFlags};

/// Prefix of the names of connections between nodes. Their cursors are not droppable unless they
/// say so.
const REPLICATION: &[u8] = b"replication";

impl Producer {
    pub(in crate::producer) fn open_stream(
        &mut self,
        request: &Request,
        wanted: &StreamRequest,
        partitions: &impl Partitions,
    ) -> Result<(), ProducerError> {
        match self.try_open_stream(request, wanted, partitions) {
            Ok(Opened::Stream(key, log)) => {
                let reply = Reply::StreamAccepted(log.entries().to_vec());
                self.respond(&Response {
                    opaque: request.opaque,
                    reply,
                })?;
                self.make_ready(key);
                Ok(())
            }
            Ok(Opened::Rollback(seqno)) => self.respond(&Response {
                opaque: request.opaque,
                reply: Reply::Rollback(seqno),
            }),
            Err(status) => self.respond(&Response::to(request, status)),
        }
    }

    fn try_open_stream(
        &mut self,
        request: &Request,
        wanted: &StreamRequest,
        partitions: &impl Partitions,
    ) -> Result<Opened, Status> {
        let has = |flag| wanted.flags.contains(flag);
        if !self.options.collections && !wanted.filter.is_empty() {
            return Err(Status::INVALID);
        }
        let vbucket = partitions
            .vbucket(request.vb)
            .ok_or(Status::NOT_MY_VBUCKET)?;
        if has(StreamRequestFlags::ACTIVE_ONLY) && vbucket.state() != State::Active {
            return Err(Status::NOT_MY_VBUCKET);
        }
        let wanted = &with_latest(wanted, vbucket);
        // A client with Collections must detect a dead connection.
        if self.options.needs_noop() && !self.options.noop {
            return Err(Status::NOT_SUPPORTED);
        }
        if wanted.start > wanted.end
            || !(wanted.snapshot_start..=wanted.snapshot_end).contains(&wanted.start)
        {
            return Err(Status::RANGE);
        }
        let FilterRequest {
            filter,
            stream_id,
            purge,
        } = match self.options.collections {
            true => FilterRequest::read(&wanted.filter)?,
            false => FilterRequest::bare(),
        };
        let collections = partitions.collections(request.vb);
        if collections.is_some_and(|known| filter.names_dropped(known)) {
            return Err(Status::UNKNOWN_COLLECTION);
        }
        let collections_high = collections.and_then(|known| filter.high(known));
        if stream_id.is_some() != self.options.stream_ids {
            return Err(Status::STREAM_ID_INVALID);
        }
        // There is no cache to transfer.
        let is_filtered_replica = filter.is_restricting() && self.options.sync_writes;
        if is_filtered_replica || has(StreamRequestFlags::CACHE_TRANSFER) {
            return Err(Status::NOT_SUPPORTED);
        }
        let key = StreamKey {
            vb: request.vb,
            id: stream_id,
        };
        if self.streams.contains_key(&key) {
            return Err(Status::EXISTS);
        }
        let (log, high) = (vbucket.failover_log(), vbucket.high_seqno());
        let history = ServedHistory {
            log: &log,
            high,
            purge: partitions.purge_seqno(key.vb),
            filtered_high: collections_high,
        };
        let position = position(wanted, purge);
        if let Some(seqno) = history.rollback_to(&position) {
            return Ok(Opened::Rollback(seqno));
        }
        let end = if has(StreamRequestFlags::DISK_ONLY) {
            partitions.persisted_seqno(key.vb)
        } else if has(StreamRequestFlags::TO_LATEST) {
            collections_high.unwrap_or(high)
        } else {
            wanted.end
        };
        if wanted.start > end || wanted.start > high {
            return Err(Status::RANGE);
        }
        if !partitions.has_memory() {
            return Err(Status::OUT_OF_MEMORY);
        }
        if is_receiving_first_snapshot(vbucket) {
            return Err(Status::TEMPORARY_FAILURE);
        }
        let opening = Opening {
            key,
            opaque: request.opaque,
            wanted,
            filter,
            end,
            client_purge: purge,
            seen_purge: if history.has_all_collections(wanted.start) {
                history.purge
            } else {
                Seqno::ZERO
            },
            knows_collections: self.options.collections,
            cursor_name: key.cursor_name(&self.name),
            is_droppable: !self.client_name.starts_with(REPLICATION)
                || self.options.cursor_dropping,
        };
        let stream = ActiveStream::open(opening, vbucket).map_err(|_| Status::RANGE)?;
        self.streams.insert(key, stream);
        Ok(Opened::Stream(key, log))
    }
}

/// Outcome of a valid request.
enum Opened {
    Stream(StreamKey, FailoverLog),
    Rollback(Seqno),
}

/// Returns `true` while the vBucket receives its first snapshot: it has nothing complete to send
/// yet. The high seqno shows the progress. The open checkpoint may be empty, with all of the
/// snapshot in the one before.
fn is_receiving_first_snapshot(vbucket: &VBucket) -> bool {
    let range = vbucket.manager().open_range();
    range.snapshot_type == SnapshotType::InitialDisk && vbucket.high_seqno() < range.end
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

fn position(wanted: &StreamRequest, purge: Seqno) -> ResumeRequest {
    ResumeRequest {
        point: ResumePoint {
            uuid: wanted.uuid,
            seqno: wanted.start,
            snapshot_start: wanted.snapshot_start,
            snapshot_end: wanted.snapshot_end,
        },
        strict_uuid: wanted.flags.contains(StreamRequestFlags::STRICT_VB_UUID),
        purge,
        ignore_purged: wanted
            .flags
            .contains(StreamRequestFlags::IGNORE_PURGED_TOMBSTONES),
    }
}
