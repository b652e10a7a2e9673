//! [`Producer`]: entry points of the host, and the output of one connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use lowtide_checkpoint::internal::{Invariant, checked_invariant};
use lowtide_checkpoint::{Seqno, Vbid};
use smallvec::SmallVec;

use super::ready_queue::ReadyQueue;
use crate::producer::backfill::{BackfillOutcome, BackfillStep, Backfills};
use crate::producer::error::ProducerError;
use crate::producer::event::ProducerEvent;
use crate::producer::partitions::Partitions;
use crate::producer::session::{FlowControl, Heartbeat, Options, ProducerLimits};
use crate::producer::stream::{ActiveStream, StreamContext};
use crate::producer::stream_key::StreamKey;
use crate::wire::{Command, FrameBuffer, Message, Request, Response, StreamEndReason};

/// Output up to this size is copied into a buffer of its own, and the large one is reused.
/// Otherwise a receiver that keeps one value would keep all of the large buffer alive.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// Producer of one connection.
#[derive(Debug)]
pub struct Producer {
    /// Distinguishes the cursors of this connection from those of others.
    pub(super) name: String,
    /// Name that the client gave the connection.
    pub(super) client_name: Bytes,
    pub(super) is_open: bool,
    pub(in crate::producer) limits: ProducerLimits,
    pub(in crate::producer) options: Options,
    pub(super) flow: FlowControl,
    pub(in crate::producer) streams: BTreeMap<StreamKey, ActiveStream>,
    pub(super) backfills: Backfills,
    /// Last messages of streams that ended.
    pub(super) stream_end_queue: VecDeque<Request>,
    heartbeat: Heartbeat,
    pub(super) events: Vec<ProducerEvent>,
    /// Streams that may have something to send.
    pub(super) ready: ReadyQueue,
    /// vBuckets whose cursors moved since the last [`Producer::take_read`].
    pub(super) read: BTreeSet<Vbid>,
    input: FrameBuffer,
    pub(super) output: Vec<u8>,
}

impl Producer {
    /// Creates the producer of a new connection. `name` must differ from those of the node's other
    /// connections.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            client_name: Bytes::new(),
            is_open: false,
            limits: ProducerLimits::default(),
            options: Options::default(),
            flow: FlowControl::default(),
            streams: BTreeMap::new(),
            backfills: Backfills::default(),
            stream_end_queue: VecDeque::new(),
            heartbeat: Heartbeat::default(),
            events: Vec::new(),
            ready: ReadyQueue::default(),
            read: BTreeSet::new(),
            input: FrameBuffer::default(),
            output: Vec::new(),
        }
    }

    /// Creates the producer of a connection that did not negotiate Collections. Its client sees the
    /// default collection only, with keys without prefix and markers of the first form. It
    /// does not learn of other items.
    #[must_use]
    pub fn without_collections(name: &str) -> Self {
        let mut producer = Self::new(name);
        producer.options.collections = false;
        producer
    }

    /// Sets the limits of a connection that has no stream yet.
    #[must_use]
    pub fn with_limits(mut self, limits: ProducerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Receives bytes from the consumer. Answers wait for [`Producer::poll`].
    ///
    /// # Errors
    /// When the connection must be closed. Call [`Producer::close`] then.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        partitions: &impl Partitions,
    ) -> Result<(), ProducerError> {
        self.heartbeat.idle.reset();
        let mut arrived = Bytes::copy_from_slice(bytes);
        while let Some(frame) = self.input.next_frame(&mut arrived)? {
            match Message::decode(&frame) {
                Ok(Message::Request(request)) => self.handle_request(&request, partitions)?,
                Ok(Message::Response(response)) => self.handle_response(&response)?,
                Err(error) => {
                    let status = error.status().ok_or(error)?;
                    self.respond(&Response::status(frame.opcode, frame.opaque, status))?;
                }
            }
        }
        Ok(())
    }

    /// Reports that a vBucket has new items. Returns `true` if an idle stream became ready; only
    /// then does the host need to call [`Producer::poll`].
    pub fn notify(&mut self, vb: Vbid) -> bool {
        let waits = |(_, stream): &(&StreamKey, &ActiveStream)| !stream.waits_for_disk();
        let woken: SmallVec<[_; 2]> = self
            .streams_of(vb)
            .filter(waits)
            .map(|(&key, _)| key)
            .collect();
        woken
            .into_iter()
            .filter(|&key| self.ready.push(key))
            .count()
            > 0
    }

    /// Ends every stream of a vBucket: its state changed, it was rolled back, or the host has
    /// another reason. Unsent messages are dropped. A stream that hands the vBucket over continues
    /// after the vBucket's death. Returns the same as [`Producer::notify`].
    pub fn end_streams(
        &mut self,
        vb: Vbid,
        reason: StreamEndReason,
        partitions: &impl Partitions,
    ) -> bool {
        let vbucket = partitions
            .vbucket(vb)
            .filter(|_| reason == StreamEndReason::StateChanged);
        let is_expected =
            |stream: &ActiveStream| vbucket.is_some_and(|vbucket| stream.expects(vbucket));
        let ended = self
            .streams_of(vb)
            .filter(|(_, stream)| !is_expected(stream));
        let ended: Vec<_> = ended.map(|(&key, _)| key).collect();
        let has_ended = ended
            .into_iter()
            .filter(|&key| self.end_stream(key, reason, partitions))
            .count()
            > 0;
        self.notify(vb) || has_ended
    }

    /// Ends every stream, before the host closes the connection. The host first sends what
    /// [`Producer::poll`] returns.
    pub fn end_all(&mut self, reason: StreamEndReason, partitions: &impl Partitions) {
        let ended: Vec<_> = self.streams.keys().copied().collect();
        for key in ended {
            self.end_stream(key, reason, partitions);
        }
    }

    /// Returns the events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<ProducerEvent> {
        std::mem::take(&mut self.events)
    }

    /// Passes in the time, in nanoseconds. The host calls it at least as often as no-operations are
    /// due. Backfills whose client takes nothing end. Check [`Producer::has_more`] afterwards.
    ///
    /// # Errors
    /// [`ProducerError::Silent`] when the connection was idle for too long.
    pub fn tick(&mut self, now: u64, partitions: &impl Partitions) -> Result<(), ProducerError> {
        self.heartbeat
            .idle
            .tick(now)
            .map_err(|nanos| ProducerError::Silent { nanos })?;
        if let Some(opaque) = self.heartbeat.due(now, &self.options) {
            Request::new(Vbid(0), opaque, Command::Noop).encode(&mut self.output)?;
        }
        let limits = &self.limits;
        let stand_still = self
            .streams
            .iter_mut()
            .filter_map(|(&key, stream)| stream.stands_still(now, limits).then_some(key));
        let slow: Vec<_> = stand_still.collect();
        for key in slow {
            self.end_stream(key, StreamEndReason::TooSlow, partitions);
        }
        Ok(())
    }

    /// Returns the steps to run on the engine, each once. They may run in any order. The host
    /// returns the outcomes to [`Producer::backfilled`]. Call it after any other call.
    pub fn take_backfills(&mut self) -> Vec<BackfillStep> {
        self.backfills.take_steps()
    }

    /// Takes the outcome of a backfill step. Returns the same as [`Producer::notify`]. An outcome
    /// of a stream that ended is dropped.
    ///
    /// # Errors
    /// When the connection must be closed. An engine failure ends only the stream.
    pub fn backfilled(
        &mut self,
        outcome: BackfillOutcome,
        partitions: &impl Partitions,
    ) -> Result<bool, ProducerError> {
        let Some(key) = self.backfills.stream_of(outcome.id) else {
            return Ok(false);
        };
        let Some(vbucket) = partitions.vbucket(key.vb) else {
            return Ok(self.end_stream(key, StreamEndReason::StateChanged, partitions));
        };
        let Ok(read) = outcome.result else {
            return Ok(self.end_stream(key, StreamEndReason::BackfillFailed, partitions));
        };
        let stream = self
            .streams
            .get_mut(&key)
            .invariant("S13", "a stream that ended holds no scan")?;
        let collections = partitions.collections(key.vb);
        let context = StreamContext {
            options: &self.options,
            limits: &self.limits,
            collections,
        };
        if !stream.take_read(read, vbucket, context)? {
            self.backfills.release(key, self.scans_max());
        }
        Ok(self.ready.push(key))
    }

    /// Returns the bytes to send: answers, then stream messages within flow control, until they
    /// amount to `budget_bytes` or more. Streams take turns. Call it again while
    /// [`Producer::has_more`].
    ///
    /// # Errors
    /// When the connection must be closed.
    pub fn poll(
        &mut self,
        partitions: &impl Partitions,
        budget_bytes: usize,
    ) -> Result<Bytes, ProducerError> {
        while self.output.len() < budget_bytes && self.flow.may_send() {
            if let Some(end) = self.stream_end_queue.pop_front() {
                self.send(&end)?;
            } else if let Some(key) = self.ready.pop() {
                self.send_from(key, partitions, budget_bytes)?;
            } else {
                break;
            }
        }
        if self.output.len() > COPIED_BYTES_MAX {
            return Ok(Bytes::from(std::mem::take(&mut self.output)));
        }
        let bytes = Bytes::copy_from_slice(&self.output);
        self.output.clear();
        Ok(bytes)
    }

    /// Returns `true` if there is something to send within flow control.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let is_waiting = !self.stream_end_queue.is_empty() || !self.ready.is_empty();
        !self.output.is_empty() || (is_waiting && self.flow.may_send())
    }

    /// Returns the vBuckets that were read from since the last call. Items that all their cursors
    /// have passed can be expelled.
    pub fn take_read(&mut self) -> BTreeSet<Vbid> {
        std::mem::take(&mut self.read)
    }

    /// Unregisters the cursors of all streams. Call it when the connection is closed.
    pub fn close(&mut self, partitions: &impl Partitions) {
        for (key, mut stream) in std::mem::take(&mut self.streams) {
            if let Some(vbucket) = partitions.vbucket(key.vb) {
                stream.close(vbucket);
            }
        }
        self.backfills.clear();
        self.stream_end_queue.clear();
        self.ready.clear();
    }

    /// Returns the last seqno sent for a vBucket. Of several streams it is the lowest one.
    #[must_use]
    pub fn sent_seqno(&self, vb: Vbid) -> Option<Seqno> {
        self.streams_of(vb)
            .map(|(_, stream)| stream.sent_seqno())
            .min()
    }

    /// Returns the state of flow control.
    #[must_use]
    pub fn flow_control(&self) -> FlowControl {
        self.flow
    }

    pub(super) fn send(&mut self, request: &Request) -> Result<(), ProducerError> {
        let before = self.output.len();
        request.encode(&mut self.output)?;
        let bytes = self.output.len() - before;
        checked_invariant!(
            bytes == request.encoded_bytes(),
            "S4",
            "a message is counted with the bytes that are sent"
        );
        self.flow.sent(request.flow_control_bytes_of(bytes));
        Ok(())
    }

    /// Returns the number of streams that may read from disk at once.
    pub(super) fn scans_max(&self) -> usize {
        if self.options.is_sequential {
            1
        } else {
            self.limits.scans.max(1)
        }
    }

    pub(super) fn respond(&mut self, response: &Response) -> Result<(), ProducerError> {
        Ok(response.encode(&mut self.output)?)
    }
}
