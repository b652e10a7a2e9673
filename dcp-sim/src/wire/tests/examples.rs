//! Each message byte by byte, written from the layout tables and not by the encoder.

use bytes::Bytes;
use lowtide_checkpoint::{FailoverEntry, Seqno, State, VbUuid, Vbid};

use super::{encoded, frame, hex};
use crate::wire::*;

pub(super) const VB: Vbid = Vbid(0x0210);
pub(super) const OPAQUE: u32 = 0x1210_0001;

/// Checks that `message` encodes to `digits` and decodes from them.
#[track_caller]
pub(super) fn same(message: impl Into<Message>, digits: &str) {
    let message = message.into();
    let bytes = hex(digits);
    assert_eq!(encoded(&message), bytes, "encoded");
    assert_eq!(
        Message::decode(&frame(&bytes)).as_ref(),
        Ok(&message),
        "decoded"
    );
    let mut through_frame = Vec::new();
    message.to_frame().encode(&mut through_frame).unwrap();
    assert_eq!(through_frame, bytes, "by way of a frame");
}

pub(super) fn request(command: Command) -> Request {
    Request::new(VB, OPAQUE, command)
}

pub(super) fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn open_has_the_bytes_of_its_layout() {
    let flags = OpenFlags::PRODUCER.with(OpenFlags::INCLUDE_XATTRS);
    let open = Open {
        flags,
        name: text("conn"),
        options: text("{}"),
    };
    same(
        Request::new(Vbid(0), 7, Command::Open(open)),
        "80 50 0004  08 00 0000  0000000e 00000007 0000000000000000
         00000000 00000005  636f6e6e  7b7d",
    );
}

#[test]
fn control_has_the_bytes_of_its_layout() {
    let control = Control {
        key: text("enable_noop"),
        value: text("true"),
    };
    same(
        Request::new(Vbid(0), 8, Command::Control(control)),
        "80 5e 000b  00 00 0000  0000000f 00000008 0000000000000000
         656e61626c655f6e6f6f70  74727565",
    );
}

#[test]
fn stream_request_has_the_bytes_of_its_layout() {
    let asked = StreamRequest {
        flags: StreamRequestFlags::ACTIVE_ONLY.with(StreamRequestFlags::IGNORE_PURGED_TOMBSTONES),
        start: Seqno(5),
        end: Seqno::MAX,
        uuid: VbUuid(0xfeed_dead_beef),
        snapshot_start: Seqno(4),
        snapshot_end: Seqno(6),
        filter: text("{}"),
    };
    same(
        request(Command::StreamRequest(asked)),
        "80 53 0000  30 00 0210  00000032 12100001 0000000000000000
         00000090 00000000  0000000000000005 ffffffffffffffff  0000feeddeadbeef
         0000000000000004 0000000000000006  7b7d",
    );
}

#[test]
fn command_without_body_is_a_header() {
    let header = "0000  00 00 0210  00000000 12100001 0000000000000000";
    same(request(Command::CloseStream), &format!("80 52 {header}"));
    same(request(Command::GetFailoverLog), &format!("80 54 {header}"));
    same(request(Command::Noop), &format!("80 5c {header}"));
}

#[test]
fn stream_id_is_a_framing_extra() {
    same(
        request(Command::CloseStream).with_stream_id(StreamId(0x1234)),
        "08 52 03 00  00 00 0210  00000003 12100001 0000000000000000  22 1234",
    );
}

#[test]
fn buffer_ack_has_the_bytes_of_its_layout() {
    same(
        Request::new(Vbid(0), 0, Command::BufferAck(0x0014_0000)),
        "80 5d 0000  04 00 0000  00000004 00000000 0000000000000000  00140000",
    );
}

#[test]
fn accepted_stream_has_the_failover_log() {
    let entries = vec![
        FailoverEntry {
            uuid: VbUuid(0xfeed_dead_beef),
            seqno: Seqno(0x54),
        },
        FailoverEntry {
            uuid: VbUuid(0xdead_cafe),
            seqno: Seqno(0),
        },
    ];
    let log = "0000feeddeadbeef 0000000000000054  00000000deadcafe 0000000000000000";
    same(
        Response {
            opaque: OPAQUE,
            reply: Reply::StreamAccepted(entries.clone()),
        },
        &format!("81 53 0000  00 00 0000  00000020 12100001 0000000000000000  {log}"),
    );
    for (opcode, code) in [
        (Opcode::DCP_GET_FAILOVER_LOG, "54"),
        (Opcode::GET_FAILOVER_LOG, "96"),
    ] {
        same(
            Response {
                opaque: OPAQUE,
                reply: Reply::FailoverLog {
                    opcode,
                    entries: entries.clone(),
                },
            },
            &format!("81 {code} 0000  00 00 0000  00000020 12100001 0000000000000000  {log}"),
        );
    }
}

#[test]
fn rollback_has_eight_bytes() {
    same(
        Response {
            opaque: OPAQUE,
            reply: Reply::Rollback(Seqno(50)),
        },
        "81 53 0000  00 00 0023  00000008 12100001 0000000000000000  0000000000000032",
    );
}

#[test]
fn status_has_the_bytes_of_its_layout() {
    for (command, code) in [
        (Command::Noop, "5c"),
        (Command::SetVBucketState(State::Pending), "5b"),
        (Command::CloseStream, "52"),
        (Command::SeqnoAck(Seqno(1)), "61"),
    ] {
        same(
            Response::to(&request(command), Status::SUCCESS),
            &format!("81 {code} 0000  00 00 0000  00000000 12100001 0000000000000000"),
        );
    }
    same(
        Response::status(Opcode::DCP_SNAPSHOT_MARKER, OPAQUE, Status::RANGE),
        "81 56 0000  00 00 0022  00000000 12100001 0000000000000000",
    );
    let (opcode, status) = (Opcode::DCP_STREAM_REQ, Status::UNKNOWN_COLLECTION);
    same(
        Response {
            opaque: OPAQUE,
            reply: Reply::Status {
                opcode,
                status,
                body: text("{}"),
            },
        },
        "81 53 0000  00 00 0088  00000002 12100001 0000000000000000  7b7d",
    );
}
