//! Round robin: which stream sends next, how much it sends, and the removal of streams that ended.
//!
//! # Invariants
//!
//! - A stream with something to send gets its turn after each of the others had one.
//! - An ended stream has no cursor, no scan and no place in the queue.

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
        let Some(stream) = streams.get_mut(&key) else {
            return Ok(());
        };
        let Some(vbucket) = partitions.vbucket(key.vb) else {
            // The vBucket was removed without notice, and the cursor with it.
            let end = stream.end_message(StreamEndReason::StateChanged);
            streams.remove(&key);
            return self.send(&end);
        };
        self.read.insert(key.vb);
        let turn_ends = self.output.len().saturating_add(self.turn_bytes);
        let has_more = loop {
            let is_turn_over = self.output.len() >= turn_ends && !self.ready.is_empty();
            if is_turn_over || self.output.len() >= budget_bytes || !self.flow.may_send() {
                break true;
            }
            match stream.next(vbucket, &self.options)? {
                Turn::Message(message) => self.send(&message)?,
                Turn::Backfill => {
                    self.backfills
                        .want(key, stream.read_seqno(), self.options.backfills_max());
                    break false;
                }
                Turn::ReadOn(scan) => {
                    self.backfills.read_on(key, scan);
                    break false;
                }
                Turn::Nothing => break false,
            }
        };
        if stream.is_over() {
            stream.close(vbucket);
            self.backfills.release(key, self.options.backfills_max());
            streams.remove(&key);
            return Ok(());
        }
        if has_more {
            self.make_ready(key);
        }
        Ok(())
    }

    /// Ends a stream and queues its last message. Its cursor, scan and name are released at once.
    pub(in crate::producer) fn end_stream(
        &mut self,
        key: StreamKey,
        reason: StreamEndReason,
        partitions: &impl Partitions,
    ) -> bool {
        self.backfills.release(key, self.options.backfills_max());
        let Some(mut stream) = self.streams.remove(&key) else {
            return false;
        };
        if let Some(vbucket) = partitions.vbucket(key.vb) {
            stream.close(vbucket);
        }
        self.stream_end_queue.push_back(stream.end_message(reason));
        true
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

    pub(in crate::producer) fn make_ready(&mut self, key: StreamKey) -> bool {
        let became_ready = self.is_ready.insert(key);
        if became_ready {
            self.ready.push_back(key);
        }
        became_ready
    }
}
