//! Round robin: which stream sends next, how much it sends, and the removal of streams that ended.
//!
//! # Invariants
//!
//! - A stream with something to send gets its turn after each of the others had one.
//! - S13. An ended stream has no cursor and no scan. Its place in the queue is passed over.

use std::collections::BTreeMap;

use lowtide_checkpoint::Vbid;

use super::producer::Producer;
use crate::producer::error::ProducerError;
use crate::producer::partitions::Partitions;
use crate::producer::stream::{ActiveStream, Turn};
use crate::producer::stream_key::StreamKey;
use crate::wire::StreamEndReason;

impl Producer {
    /// Sends from one stream until it has nothing left, its turn or the budget is used up, or flow
    /// control stops it.
    pub(in crate::producer) fn send_from(
        &mut self,
        key: StreamKey,
        partitions: &impl Partitions,
        budget_bytes: usize,
    ) -> Result<(), ProducerError> {
        // Taken out as a whole: a stream is large, and moving it out of the map and back costs
        // more.
        let mut streams = std::mem::take(&mut self.streams);
        let sent = self.send_from_one_of(&mut streams, key, partitions, budget_bytes);
        self.streams = streams;
        sent
    }

    fn send_from_one_of(
        &mut self,
        streams: &mut BTreeMap<StreamKey, ActiveStream>,
        key: StreamKey,
        partitions: &impl Partitions,
        budget_bytes: usize,
    ) -> Result<(), ProducerError> {
        // The stream ended while it waited for its turn.
        let Some(stream) = streams.get_mut(&key) else {
            return Ok(());
        };
        let scans_max = self.scans_max();
        let Some(vbucket) = partitions.vbucket(key.vb) else {
            // The vBucket was removed without notice, and the cursor with it.
            let end = stream.end_message(StreamEndReason::StateChanged);
            streams.remove(&key);
            self.backfills.release(key, scans_max);
            return self.send(&end);
        };
        self.read.insert(key.vb);
        // The largest number stands for no limit.
        let turn_ends = self.output.len().saturating_add(self.limits.turn_bytes);
        let has_more = loop {
            let is_turn_over = self.output.len() >= turn_ends && !self.ready.is_empty();
            if is_turn_over || self.output.len() >= budget_bytes || !self.flow.may_send() {
                break true;
            }
            match stream.next(vbucket, &self.options)? {
                Turn::Message(message) => self.send(&message)?,
                Turn::Backfill => {
                    self.backfills
                        .request_scan(key, stream.read_seqno(), scans_max);
                    break false;
                }
                Turn::ReadSlice(scan) => {
                    self.backfills.request_slice(key, scan, self.limits.slice)?;
                    break false;
                }
                Turn::Nothing => break false,
            }
        };
        if stream.is_over() {
            stream.close(vbucket);
            self.backfills.release(key, scans_max);
            streams.remove(&key);
            return Ok(());
        }
        if has_more {
            self.ready.push(key);
        }
        Ok(())
    }

    /// Ends a stream and queues its last message. Returns `true` if there was one.
    pub(in crate::producer) fn end_stream(
        &mut self,
        key: StreamKey,
        reason: StreamEndReason,
        partitions: &impl Partitions,
    ) -> bool {
        let removed = self.remove_stream(key, partitions);
        let end = removed.map(|stream| stream.end_message(reason));
        let has_ended = end.is_some();
        self.stream_end_queue.extend(end);
        has_ended
    }

    /// Removes a stream. Its cursor, scan and name are released at once.
    pub(super) fn remove_stream(
        &mut self,
        key: StreamKey,
        partitions: &impl Partitions,
    ) -> Option<ActiveStream> {
        self.backfills.release(key, self.scans_max());
        let mut stream = self.streams.remove(&key)?;
        if let Some(vbucket) = partitions.vbucket(key.vb) {
            stream.close(vbucket);
        }
        Some(stream)
    }

    pub(in crate::producer) fn streams_of(
        &self,
        vb: Vbid,
    ) -> impl Iterator<Item = (&StreamKey, &ActiveStream)> {
        let first = StreamKey { vb, id: None };
        self.streams
            .range(first..)
            .take_while(move |(key, _)| key.vb == vb)
    }
}
