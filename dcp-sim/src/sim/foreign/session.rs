//! One connection of a foreign client: bytes in, what they tell out; requests and acknowledgements in the real frames.
//!
//! What always holds: of a vBucket there is one stream at most; every byte that counts is acknowledged, once the share of
//! the buffer that the client's temper says is used up; nothing comes after it was passed (W20).

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{FailoverEntry, Item, Seqno, Vbid};

use super::position::ResumeAt;
use super::temper::{Asks, Temper};
use crate::wire::{
    Command, Control, Frame, KeyForm, Marker, Message, Opcode, Open, OpenFlags, Reply, Request,
    Response, Status, StreamEndReason, StreamRequest, StreamRequestFlags, flow_control_bytes,
};

/// What a producer has told of one vBucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Opened(Vec<FailoverEntry>),
    Rollback(Seqno),
    Refused(Status),
    Marker(Marker),
    Item(Box<Item>),
    Advanced(Seqno),
    /// `None` if it was closed without a word.
    Ended(Option<StreamEndReason>),
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Open,
    /// That request asks for its end.
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
    /// Opaques of streams that had ended before the client's word to close them came: their ends are under way.
    crossed: BTreeSet<u32>,
    input: BytesMut,
    output: Vec<u8>,
}

impl Session {
    /// A connection that was just made: it opens it under `name` with the options of its temper.
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
            acknowledges_at: (used as u32).max(1),
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

    /// Asks for a stream.
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

    /// Asks for the end of a stream that is open. Returns whether there is one.
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

    /// Whether a vBucket's stream is open.
    pub(super) fn is_open(&self, vb: Vbid) -> bool {
        self.streams
            .get(&vb)
            .is_some_and(|stream| stream.stage == Stage::Open)
    }

    /// Takes bytes. The error says what of them no producer may send; the connection is of no use then.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Vec<(Vbid, Told)>, String> {
        self.input.extend_from_slice(bytes);
        let mut told = Vec::new();
        while let Some(frame) = Frame::decode(&mut self.input).map_err(|error| error.to_string())? {
            let counted = flow_control_bytes(&frame);
            if counted > 0
                && self.buffer_bytes > 0
                && self.unacknowledged_bytes >= self.buffer_bytes
            {
                return Err(format!(
                    "{} bytes are not acknowledged, and more comes",
                    self.unacknowledged_bytes
                ));
            }
            match Message::decode(&frame).map_err(|error| error.to_string())? {
                Message::Request(request) => told.extend(self.take(&request)?),
                Message::Response(response) => told.extend(self.answered(&response)?),
            }
            self.acknowledge(counted);
        }
        Ok(told)
    }

    /// Takes the bytes to send.
    pub(super) fn take_output(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.output))
    }

    fn take(&mut self, request: &Request) -> Result<Option<(Vbid, Told)>, String> {
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
            return Err(format!("vBucket {vb}: {opcode} of no stream"));
        };
        let told = match &request.command {
            Command::StreamEnd(reason) => {
                self.streams.remove(&vb);
                return Ok(Some((vb, Told::Ended(Some(*reason)))));
            }
            Command::SnapshotMarker(marker) => Told::Marker(*marker),
            Command::SeqnoAdvanced(seqno) => Told::Advanced(*seqno),
            Command::Mutation(_) | Command::Deletion(_) | Command::Expiration(_) => {
                let item = request
                    .to_item(self.keys)
                    .map_err(|error| error.to_string())?;
                Told::Item(Box::new(item))
            }
            _ => return Err(format!("vBucket {vb}: {opcode} is not for this client")),
        };
        // What is under way of a stream that the client closes is nothing to it.
        Ok((stream.stage == Stage::Open).then_some((vb, told)))
    }

    fn answered(&mut self, response: &Response) -> Result<Option<(Vbid, Told)>, String> {
        let (opcode, status) = (response.reply.opcode(), response.reply.status());
        match opcode {
            Opcode::DCP_STREAM_REQ => {}
            Opcode::DCP_OPEN | Opcode::DCP_CONTROL if status.is_success() => return Ok(None),
            Opcode::DCP_CLOSE_STREAM => return Ok(self.closed(response.opaque, status)),
            _ => return Err(format!("{opcode} was refused: {status}")),
        }
        let asked = |(_, stream): &(&Vbid, &mut Stream)| stream.opaque == response.opaque;
        let Some((&vb, stream)) = self.streams.iter_mut().find(asked) else {
            return Err(format!(
                "an answer to the stream request {}, which was not made",
                response.opaque
            ));
        };
        let told = match &response.reply {
            Reply::StreamAccepted(log) => {
                stream.stage = Stage::Open;
                return Ok(Some((vb, Told::Opened(log.clone()))));
            }
            Reply::Rollback(seqno) => Told::Rollback(*seqno),
            _ => Told::Refused(status),
        };
        self.streams.remove(&vb);
        Ok(Some((vb, told)))
    }

    /// A close was answered. Its stream may have ended by itself meanwhile.
    fn closed(&mut self, opaque: u32, status: Status) -> Option<(Vbid, Told)> {
        let closing = |(_, stream): &(&Vbid, &Stream)| stream.stage == Stage::Closing(opaque);
        let (&vb, stream) = self.streams.iter().find(closing)?;
        if !status.is_success() {
            self.crossed.insert(stream.opaque);
        }
        if status.is_success() && self.end_on_close {
            return None;
        }
        self.streams.remove(&vb);
        Some((vb, Told::Ended(None)))
    }

    fn acknowledge(&mut self, bytes: u32) {
        self.unacknowledged_bytes += bytes;
        if self.buffer_bytes > 0 && self.unacknowledged_bytes >= self.acknowledges_at {
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
        // Nothing that a client says is too long for a frame.
        let encoded = message.encode(&mut self.output);
        debug_assert!(encoded.is_ok(), "{message:?}");
    }
}
