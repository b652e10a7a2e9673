//! Messages of a fuzzed client.

use bytes::Bytes;
use lowtide_checkpoint::{Seqno, VbUuid, Vbid};

use super::input::Input;
use crate::wire::{
    Command, Control, Opcode, Open, OpenFlags, Request, Response, Status, StreamId, StreamRequest,
    StreamRequestFlags,
};

/// Encodes a message that a client might send.
pub(super) fn encode(input: &mut Input<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let vb = Vbid(u16::from(input.byte() == 255));
    let command = match input.byte() % 12 {
        0 | 1 => {
            let flags = OpenFlags(u32::from(input.byte()) << input.one_of(&[0_u32, 2]) | 1);
            Command::Open(Open {
                flags,
                name: Bytes::copy_from_slice(input.piece()),
                options: Bytes::new(),
            })
        }
        2 | 3 => {
            let key = input.one_of(&CONTROLS);
            let value = input.one_of(&[
                "true",
                "0",
                "1",
                "100",
                "2.2",
                "round-robin",
                "sequential",
                "false",
            ]);
            let [key, value] = [key, value].map(|text| Bytes::from_static(text.as_bytes()));
            Command::Control(Control { key, value })
        }
        4..=7 => Command::StreamRequest(StreamRequest {
            flags: StreamRequestFlags(u32::from(input.byte()) & input.one_of(&[0, 0xff, 1, 2, 4])),
            start: input.seqno(),
            end: Seqno(input.one_of(&[u64::MAX, 5, 20])),
            uuid: VbUuid(input.one_of(&[7_u64, 0, 100])),
            snapshot_start: input.seqno(),
            snapshot_end: input.seqno(),
            filter: Bytes::from_static(input.one_of(&FILTERS).as_bytes()),
        }),
        8 => Command::CloseStream,
        9 => Command::BufferAck(u32::from(input.byte()) << (input.byte() % 24)),
        10 => input
            .one_of(&[Some(()), None])
            .map_or(Command::GetFailoverLog, |()| {
                Command::SeqnoAck(input.seqno())
            }),
        _ => {
            let opcode = match input.byte() % 4 {
                0 => Opcode::DCP_SET_VBUCKET_STATE,
                1 | 2 => Opcode::DCP_SNAPSHOT_MARKER,
                _ => Opcode::DCP_MUTATION,
            };
            let status = input.one_of(&[0_u16, 0, 1, 2, 7, 0x22]);
            return Response::status(opcode, u32::from(input.byte() % 2), Status(status))
                .encode(bytes)
                .ok();
        }
    };
    let stream_id = input.one_of(&[None, None, Some(5_u16)]).map(StreamId);
    let stream_id = stream_id.filter(|_| matches!(command, Command::CloseStream));
    Request {
        stream_id,
        ..Request::new(vb, u32::from(input.byte() % 2), command)
    }
    .encode(bytes)
    .ok()
}

const CONTROLS: [&str; 14] = [
    "connection_buffer_size",
    "connection_buffer_size",
    "enable_noop",
    "enable_noop",
    "set_noop_interval",
    "enable_sync_writes",
    "enable_stream_id",
    "send_stream_end_on_client_close_stream",
    "backfill_order",
    "max_marker_version",
    "consumer_name",
    "enable_expiry_opcode",
    "supports_cursor_dropping",
    "v7_dcp_status_codes",
];

const FILTERS: [&str; 8] = [
    "",
    "",
    "{\"collections\":[\"0\"]}",
    "{\"collections\":[\"8\",\"9\"]}",
    "{\"scope\":\"0\"}",
    "{\"sid\":5}",
    "{\"collections\":[\"8\"],\"sid\":5}",
    "{\"purge_seqno\":\"5\"}",
];
