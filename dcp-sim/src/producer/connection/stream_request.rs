//! Stream requests: the checks, in an order that clients may rely on, and the cursor that feeds the
//! stream.
//!
//! The numbers in the code are those of the list in `docs/streams.md`.
//!
//! # Invariants
//!
//! - S12. Of several defects the first in that order is reported, and a refused request leaves
//!   nothing behind.

use lowtide_checkpoint::{
    CheckpointError, FailoverLog, ResumePoint, ResumeRequest, Seqno, ServedHistory, SnapshotType,
    State, VBucket, VbUuid,
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
        let opaque = request.opaque;
        let Accepted {
            opening,
            vbucket,
            log,
        } = match self.judge(request, wanted, partitions) {
            Ok(accepted) => accepted,
            Err(Refusal::Rollback(seqno)) => {
                let reply = Reply::Rollback(seqno);
                return self.respond(&Response { opaque, reply });
            }
            Err(Refusal::Status(status)) => return self.respond(&Response::to(request, status)),
        };
        let key = opening.key;
        let stream = match ActiveStream::open(opening, vbucket) {
            Ok(stream) => stream,
            // The vBucket was rolled back after the request was judged.
            Err(CheckpointError::NotQueuedYet { .. }) => {
                return self.respond(&Response::to(request, Status::RANGE));
            }
            Err(source) => return Err(ProducerError::Checkpoint { vb: key.vb, source }),
        };
        self.streams.insert(key, stream);
        self.ready.push(key);
        let reply = Reply::StreamAccepted(log.entries().to_vec());
        self.respond(&Response { opaque, reply })
    }

    /// Checks a request, in the order of `docs/streams.md`.
    fn judge<'a>(
        &self,
        request: &Request,
        wanted: &StreamRequest,
        partitions: &'a impl Partitions,
    ) -> Result<Accepted<'a>, Refusal> {
        let has = |flag| wanted.flags.contains(flag);
        // 1. Unknown flags were refused when the request was decoded.
        if !self.options.collections && !wanted.filter.is_empty() {
            return Err(Status::INVALID.into());
        }
        // 2.
        let vbucket = partitions
            .vbucket(request.vb)
            .ok_or(Status::NOT_MY_VBUCKET)?;
        if has(StreamRequestFlags::ACTIVE_ONLY) && vbucket.state() != State::Active {
            return Err(Status::NOT_MY_VBUCKET.into());
        }
        // 3.
        let wanted = with_latest(wanted, vbucket);
        // 4. A client with Collections must detect a dead connection.
        if self.options.needs_noop() && !self.options.noop {
            return Err(Status::NOT_SUPPORTED.into());
        }
        // 5.
        if wanted.start > wanted.end
            || !(wanted.snapshot_start..=wanted.snapshot_end).contains(&wanted.start)
        {
            return Err(Status::RANGE.into());
        }
        // 6.
        let FilterRequest {
            filter,
            stream_id,
            purge,
        } = if self.options.collections {
            FilterRequest::read(&wanted.filter)?
        } else {
            FilterRequest::bare()
        };
        let collections = partitions.collections(request.vb);
        if collections.is_some_and(|known| filter.names_dropped(known)) {
            return Err(Status::UNKNOWN_COLLECTION.into());
        }
        // 7.
        if stream_id.is_some() != self.options.stream_ids {
            return Err(Status::STREAM_ID_INVALID.into());
        }
        // 8. There is no cache to transfer.
        let is_filtered_replica = filter.is_restricting() && self.options.sync_writes;
        if is_filtered_replica || has(StreamRequestFlags::CACHE_TRANSFER) {
            return Err(Status::NOT_SUPPORTED.into());
        }
        // 9.
        let key = StreamKey {
            vb: request.vb,
            id: stream_id,
        };
        if self.streams.contains_key(&key) {
            return Err(Status::EXISTS.into());
        }
        // 10.
        let log = vbucket.failover_log();
        let high = vbucket.high_seqno();
        let collections_high = collections.and_then(|known| filter.high(known));
        let history = ServedHistory {
            log: &log,
            high,
            purge: partitions.purge_seqno(key.vb),
            filtered_high: collections_high,
        };
        if let Some(seqno) = history.rollback_to(&position(&wanted, purge)) {
            return Err(Refusal::Rollback(seqno));
        }
        // 11.
        let end = if has(StreamRequestFlags::DISK_ONLY) {
            partitions.persisted_seqno(key.vb)
        } else if has(StreamRequestFlags::TO_LATEST) {
            collections_high.unwrap_or(high)
        } else {
            wanted.end
        };
        // 12.
        if wanted.start > end || wanted.start > high {
            return Err(Status::RANGE.into());
        }
        // 13.
        if !partitions.has_memory() {
            return Err(Status::OUT_OF_MEMORY.into());
        }
        // 14.
        if is_receiving_first_snapshot(vbucket) {
            return Err(Status::TEMPORARY_FAILURE.into());
        }
        let seen_purge = if history.has_all_collections(wanted.start) {
            history.purge
        } else {
            Seqno::ZERO
        };
        let opening = Opening {
            key,
            opaque: request.opaque,
            wanted,
            filter,
            end,
            client_purge: purge,
            seen_purge,
            knows_collections: self.options.collections,
            cursor_name: key.cursor_name(&self.name),
            is_droppable: !self.client_name.starts_with(REPLICATION)
                || self.options.cursor_dropping,
        };
        Ok(Accepted {
            opening,
            vbucket,
            log,
        })
    }
}

/// A request that passed all checks.
struct Accepted<'a> {
    opening: Opening,
    vbucket: &'a VBucket,
    log: FailoverLog,
}

/// Answer to a request that did not pass a check.
enum Refusal {
    Status(Status),
    /// The client must go back first.
    Rollback(Seqno),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
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
