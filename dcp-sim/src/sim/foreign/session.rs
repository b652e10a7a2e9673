//! One connection of a foreign client: it decodes received bytes, and encodes requests and
//! acknowledgements in real frames.
//!
//! # Invariants
//!
//! - A vBucket has at most one stream.
//! - Every counted byte is acknowledged, after the client's share of the buffer is used.
//! - More bytes than the buffer allows are reported as a violation (W20).

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{FailoverEntry, Item, Seqno, Vbid};

use super::position::ResumeAt;
use super::temper::{Asks, Temper};
use crate::wire::{
    Command, Control, Frame, KeyForm, Marker, Message, Opcode, Open, OpenFlags, Reply, Request,
    Response, Status, StreamEndReason, StreamRequest, StreamRequestFlags, flow_control_bytes,
};

/// Decoded message or response for one vBucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Opened(Vec<FailoverEntry>),
    Rollback(Seqno),
    Refused(Status),
    Marker(Marker),
    Item(Box<Item>),
    Advanced(Seqno),
    /// `None` if the stream was closed without a stream end.
    Ended(Option<StreamEndReason>),
}

/// Stage of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Open,
    /// A close request was sent; its opaque.
    Closing(u32),
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    opaque: u32,
    stage: Stage,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    keys: KeyForm,
    filter: Bytes,
    end_on_close: bool,
    buffer_bytes: u32,
    acknowledges_at: u32,
    unacknowledged_bytes: u32,
    next_opaque: u32,
    open_opaque: u32,
    streams: BTreeMap<Vbid, Stream>,
    /// Opaques of streams that had ended before the client's request to close them arrived. Their
    /// stream ends are in flight.
    crossed: BTreeSet<u32>,
    input: BytesMut,
    output: Vec<u8>,
}

impl Session {
    /// Creates the connection and opens it as `name`, with the options of its temper.
    pub(super) fn new(name: &str, temper: &Temper) -> Self {
        let is_bare = temper.asks == Asks::Bare;
        let used = u64::from(temper.buffer_bytes) * u64::from(temper.acknowledges_permille) / 1_000;
        let mut session = Self {
            keys: if is_bare {
                KeyForm::Bare
            } else {
                KeyForm::Collections
            },
            filter: Bytes::from_static(temper.asks.filter().as_bytes()),
            end_on_close: temper.end_on_close,
            buffer_bytes: temper.buffer_bytes,
            acknowledges_at: u32::try_from(used).unwrap_or(u32::MAX).max(1),
            unacknowledged_bytes: 0,
            next_opaque: 1,
            open_opaque: 1,
            streams: BTreeMap::new(),
            crossed: BTreeSet::new(),
            input: BytesMut::new(),
            output: Vec::new(),
        };
        let times = if temper.delete_times {
            OpenFlags::INCLUDE_DELETE_TIMES
        } else {
            OpenFlags::PRODUCER
        };
        let name = Bytes::copy_from_slice(name.as_bytes());
        let open = Open {
            flags: OpenFlags::PRODUCER.with(times),
            name,
            options: Bytes::new(),
        };
        session.open_opaque = session.ask(Vbid(0), Command::Open(open));
        if temper.noop || !is_bare {
            session.control("enable_noop", "true");
            session.control("set_noop_interval", "20");
        }
        if temper.buffer_bytes > 0 {
            session.control("connection_buffer_size", &temper.buffer_bytes.to_string());
        }
        for (is_wanted, key, value) in [
            (temper.marker_v2_2 && !is_bare, "max_marker_version", "2.2"),
            (
                temper.end_on_close,
                "send_stream_end_on_client_close_stream",
                "true",
            ),
            (temper.one_backfill, "backfill_order", "sequential"),
            (true, "set_priority", "low"),
        ] {
            if is_wanted {
                session.control(key, value);
            }
        }
        session
    }

    /// Requests a stream.
    pub(super) fn request(
        &mut self,
        vb: Vbid,
        at: ResumeAt,
        end: Seqno,
        flags: StreamRequestFlags,
    ) {
        let request = StreamRequest {
            flags,
            start: at.start,
            end,
            uuid: at.uuid,
            snapshot_start: at.snapshot.0,
            snapshot_end: at.snapshot.1,
            filter: self.filter.clone(),
        };
        let opaque = self.ask(vb, Command::StreamRequest(request));
        self.streams.insert(
            vb,
            Stream {
                opaque,
                stage: Stage::Asked,
            },
        );
    }

    /// Requests the end of an open stream. Returns `true` if there is one.
    pub(super) fn close(&mut self, vb: Vbid) -> bool {
        if !self.is_open(vb) {
            return false;
        }
        let opaque = self.ask(vb, Command::CloseStream);
        if let Some(stream) = self.streams.get_mut(&vb) {
            stream.stage = Stage::Closing(opaque);
        }
        true
    }

    /// Returns `true` if a vBucket's stream is open.
    pub(super) fn is_open(&self, vb: Vbid) -> bool {
        self.streams
            .get(&vb)
            .is_some_and(|stream| stream.stage == Stage::Open)
    }

    /// Processes bytes. The error names the violation; the connection is unusable then.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Vec<(Vbid, Received)>, String> {
        self.input.extend_from_slice(bytes);
        let mut received = Vec::new();
        while let Some(frame) = Frame::decode(&mut self.input).map_err(|error| error.to_string())? {
            let counted = flow_control_bytes(&frame);
            if counted > 0
                && self.buffer_bytes > 0
                && self.unacknowledged_bytes >= self.buffer_bytes
            {
                return Err(format!(
                    "{} bytes are not acknowledged, and more arrive",
                    self.unacknowledged_bytes
                ));
            }
            match Message::decode(&frame).map_err(|error| error.to_string())? {
                Message::Request(request) => received.extend(self.take(&request)?),
                Message::Response(response) => received.extend(self.answered(&response)?),
            }
            self.acknowledge(counted);
        }
        Ok(received)
    }

    /// Takes the bytes to send.
    pub(super) fn take_output(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.output))
    }

    fn take(&mut self, request: &Request) -> Result<Option<(Vbid, Received)>, String> {
        let vb = request.vb;
        if request.command == Command::Noop {
            self.put(Message::Response(Response::to(request, Status::SUCCESS)));
            return Ok(None);
        }
        let opcode = request.command.opcode();
        if opcode == Opcode::DCP_STREAM_END && self.crossed.remove(&request.opaque) {
            return Ok(None);
        }
        let stream = self
            .streams
            .get(&vb)
            .filter(|stream| stream.opaque == request.opaque);
        let Some(stream) = stream.filter(|stream| stream.stage != Stage::Asked) else {
            return Err(format!("vBucket {vb}: {opcode} without a stream"));
        };
        let received = match &request.command {
            Command::StreamEnd(reason) => {
                self.streams.remove(&vb);
                return Ok(Some((vb, Received::Ended(Some(*reason)))));
            }
            Command::SnapshotMarker(marker) => Received::Marker(*marker),
            Command::SeqnoAdvanced(seqno) => Received::Advanced(*seqno),
            Command::Mutation(_) | Command::Deletion(_) | Command::Expiration(_) => {
                let item = request
                    .to_item(self.keys)
                    .map_err(|error| error.to_string())?;
                Received::Item(Box::new(item))
            }
            _ => return Err(format!("vBucket {vb}: {opcode} is unexpected")),
        };
        // Messages in flight are ignored after the client's request to close the stream.
        Ok((stream.stage == Stage::Open).then_some((vb, received)))
    }

    fn answered(&mut self, response: &Response) -> Result<Option<(Vbid, Received)>, String> {
        let opcode = response.reply.opcode();
        let status = response.reply.status();
        match opcode {
            Opcode::DCP_STREAM_REQ => {}
            Opcode::DCP_OPEN | Opcode::DCP_CONTROL if status.is_success() => return Ok(None),
            Opcode::DCP_CLOSE_STREAM => return Ok(self.closed(response.opaque, status)),
            _ => return Err(format!("{opcode} was refused: {status}")),
        }
        let asked = |(_, stream): &(&Vbid, &mut Stream)| stream.opaque == response.opaque;
        let Some((&vb, stream)) = self.streams.iter_mut().find(asked) else {
            return Err(format!(
                "a response to an unknown stream request {}",
                response.opaque
            ));
        };
        let received = match &response.reply {
            Reply::StreamAccepted(log) => {
                stream.stage = Stage::Open;
                return Ok(Some((vb, Received::Opened(log.clone()))));
            }
            Reply::Rollback(seqno) => Received::Rollback(*seqno),
            _ => Received::Refused(status),
        };
        self.streams.remove(&vb);
        Ok(Some((vb, received)))
    }

    /// Handles the response to a close request. The stream may have ended by itself.
    fn closed(&mut self, opaque: u32, status: Status) -> Option<(Vbid, Received)> {
        let closing = |(_, stream): &(&Vbid, &Stream)| stream.stage == Stage::Closing(opaque);
        let (&vb, stream) = self.streams.iter().find(closing)?;
        if !status.is_success() {
            self.crossed.insert(stream.opaque);
        }
        if status.is_success() && self.end_on_close {
            return None;
        }
        self.streams.remove(&vb);
        Some((vb, Received::Ended(None)))
    }

    fn acknowledge(&mut self, bytes: u32) {
        if self.buffer_bytes == 0 {
            return;
        }
        self.unacknowledged_bytes += bytes;
        if self.unacknowledged_bytes >= self.acknowledges_at {
            let bytes = std::mem::take(&mut self.unacknowledged_bytes);
            self.put(Message::Request(Request::new(
                Vbid(0),
                0,
                Command::BufferAck(bytes),
            )));
        }
    }

    fn control(&mut self, key: &str, value: &str) {
        let [key, value] = [key, value].map(|text| Bytes::copy_from_slice(text.as_bytes()));
        self.ask(Vbid(0), Command::Control(Control { key, value }));
    }

    fn ask(&mut self, vb: Vbid, command: Command) -> u32 {
        let opaque = self.next_opaque;
        self.next_opaque += 1;
        self.put(Message::Request(Request::new(vb, opaque, command)));
        opaque
    }

    fn put(&mut self, message: Message) {
        // In a release build W19 reports the stream that the client would lack.
        let _encoded = message
            .encode(&mut self.output)
            .ok()
            .expected("W21", "every message of a client fits into a frame");
    }
}
