//! Opening a stream: the checks, in the order a client may rely on, and the cursor that feeds it.

use checkpoint::{Seqno, State, VBucket, VbUuid};

use super::active_stream::ActiveStream;
use super::{ClientPosition, History, Partitions, Producer, ProducerError, rollback_to};
use crate::wire::{Reply, Request, Response, Status, StreamRequest, StreamRequestFlags};

/// What this producer can do; the other known flags are answered with "not supported".
const SUPPORTED: StreamRequestFlags = StreamRequestFlags::TO_LATEST
    .with(StreamRequestFlags::ACTIVE_ONLY)
    .with(StreamRequestFlags::STRICT_VB_UUID)
    .with(StreamRequestFlags::FROM_LATEST)
    .with(StreamRequestFlags::IGNORE_PURGED_TOMBSTONES);

impl Producer {
    pub(super) fn open_stream(
        &mut self,
        request: &Request,
        wanted: &StreamRequest,
        partitions: &impl Partitions,
    ) -> Result<(), ProducerError> {
        let reply = match self.try_open_stream(request, wanted, partitions) {
            Ok(reply) => reply,
            Err(status) => return self.respond(&Response::to(request, status)),
        };
        self.respond(&Response { opaque: request.opaque, reply })?;
        if self.streams.contains_key(&request.vb) {
            self.make_ready(request.vb);
        }
        Ok(())
    }

    fn try_open_stream(
        &mut self,
        request: &Request,
        wanted: &StreamRequest,
        partitions: &impl Partitions,
    ) -> Result<Reply, Status> {
        let vb = request.vb;
        let vbucket = partitions.vbucket(vb).ok_or(Status::NOT_MY_VBUCKET)?;
        if wanted.flags.contains(StreamRequestFlags::ACTIVE_ONLY) && vbucket.state() != State::Active {
            return Err(Status::NOT_MY_VBUCKET);
        }
        if !SUPPORTED.contains(wanted.flags) || !wanted.filter.is_empty() {
            return Err(Status::NOT_SUPPORTED);
        }
        let wanted = with_latest(wanted, vbucket);
        let (start, snapshot) = (wanted.start, wanted.snapshot_start..=wanted.snapshot_end);
        if start > wanted.end || !snapshot.contains(&start) {
            return Err(Status::RANGE);
        }
        if self.streams.contains_key(&vb) {
            return Err(Status::EXISTS);
        }
        let (log, high) = (vbucket.failover_log(), vbucket.high_seqno());
        let history = History { log: &log, high, purge: partitions.purge_seqno(vb) };
        if let Some(seqno) = rollback_to(&position(&wanted), &history) {
            return Ok(Reply::Rollback(seqno));
        }
        let end = if wanted.flags.contains(StreamRequestFlags::TO_LATEST) { high } else { wanted.end };
        if start > end || start > high {
            return Err(Status::RANGE);
        }
        let name = format!("{}:{vb}", self.name);
        let registration = vbucket.manager().register(&name, start, true).map_err(|_| Status::RANGE)?;
        if registration.backfill {
            // What memory no longer has would have to come from disk; the client may ask again from elsewhere.
            vbucket.manager().unregister(registration.cursor).map_err(|_| Status::INVALID)?;
            return Err(Status::TEMPORARY_FAILURE);
        }
        let stream = ActiveStream::new(request, &wanted, end, registration.cursor);
        self.streams.insert(vb, stream);
        Ok(Reply::StreamAccepted(log.entries().to_vec()))
    }
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
