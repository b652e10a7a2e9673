//! Well-formed frames that violate their command's layout, and the error for each.

use super::{frame, hex};
use crate::wire::error::{Part, WireError};
use crate::wire::message::Message;
use crate::wire::opcode::Opcode;
use crate::wire::status::Status;

/// Decodes a frame that is assembled from hexadecimal parts.
fn decode(
    first: &str,
    datatype: u8,
    cas: u64,
    [extras, key, value]: [&str; 3],
) -> Result<Message, WireError> {
    let (extras, key, value) = (hex(extras), hex(key), hex(value));
    let mut bytes = hex(first);
    bytes.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
    bytes.extend([u8::try_from(extras.len()).unwrap(), datatype, 0, 0]);
    bytes.extend(
        u32::try_from(extras.len() + key.len() + value.len())
            .unwrap()
            .to_be_bytes(),
    );
    bytes.extend([0; 4]);
    bytes.extend(cas.to_be_bytes());
    bytes.extend([extras, key, value].concat());
    Message::decode(&frame(&bytes))
}

#[track_caller]
fn refused(first: &str, parts: [&str; 3], expected: WireError) {
    assert_eq!(decode(first, 0, 0, parts), Err(expected));
}

const SEQNO_1: &str = "0000000000000001";
const SEQNO_2: &str = "0000000000000002";
const KEY: &str = "0061";

fn mutation(seqno: &str, nmeta: &str) -> String {
    format!("{seqno} {SEQNO_1} 00000000 00000000 00000000 {nmeta} 00")
}

#[test]
fn unmodified_frames_are_accepted() {
    for (first, parts) in [
        ("80 50", ["00000000 00000001", "61", ""]),
        ("80 57", [&mutation(SEQNO_1, "0000"), KEY, ""]),
        ("80 62", [&format!("{SEQNO_1} {SEQNO_2}"), KEY, ""]),
        (
            "80 5f",
            [
                &format!("{SEQNO_1} 00000001 00"),
                "",
                "0000000000000001 00000000 00000008",
            ],
        ),
        ("81 5c", ["", "", ""]),
    ] {
        assert!(decode(first, 0, 0, parts).is_ok(), "{first} {parts:?}");
    }
}

#[test]
fn unknown_flag_bits_are_refused() {
    for (flags, bits) in [
        ("00000003", 2),
        ("00000011", 0x10),
        ("00000081", 0x80),
        ("80000401", 0x8000_0400),
    ] {
        let error = WireError::UnknownBits {
            opcode: Opcode::DCP_OPEN,
            what: "flags",
            bits,
        };
        assert_eq!(error.status(), Some(Status::INVALID));
        refused("80 50", [&format!("00000000 {flags}"), "61", ""], error);
    }
    for (flags, bits) in [("00000008", 8), ("00000200", 0x200)] {
        let extras = format!("{flags} 00000000 {}", SEQNO_1.repeat(5));
        let error = WireError::UnknownBits {
            opcode: Opcode::DCP_STREAM_REQ,
            what: "flags",
            bits,
        };
        refused("80 53", [&extras, "", ""], error);
    }
    let extras = format!("{SEQNO_1} {SEQNO_2} 00000041");
    let error = WireError::UnknownBits {
        opcode: Opcode::DCP_SNAPSHOT_MARKER,
        what: "flags",
        bits: 0x40,
    };
    refused("80 56", [&extras, "", ""], error);
}

#[test]
fn key_or_value_missing_or_unexpected_is_refused() {
    let missing = |opcode, part| WireError::Missing { opcode, part };
    let unexpected = |opcode, part| WireError::Unexpected { opcode, part };
    refused(
        "80 50",
        ["00000000 00000001", "", ""],
        missing(Opcode::DCP_OPEN, Part::Key),
    );
    refused(
        "80 5e",
        ["", "", "61"],
        missing(Opcode::DCP_CONTROL, Part::Key),
    );
    refused(
        "80 5e",
        ["", "61", ""],
        missing(Opcode::DCP_CONTROL, Part::Value),
    );
    refused(
        "80 57",
        [&mutation(SEQNO_1, "0000"), "", "61"],
        missing(Opcode::DCP_MUTATION, Part::Key),
    );
    let nameless = format!("{SEQNO_1} 00000003 00");
    refused(
        "80 5f",
        [&nameless, "", SEQNO_1],
        missing(Opcode::DCP_SYSTEM_EVENT, Part::Key),
    );
    let dropped = format!("{SEQNO_1} 00000004 00");
    refused(
        "80 5f",
        [&dropped, "61", SEQNO_1],
        unexpected(Opcode::DCP_SYSTEM_EVENT, Part::Key),
    );
    refused(
        "80 52",
        ["", KEY, ""],
        unexpected(Opcode::DCP_CLOSE_STREAM, Part::Key),
    );
    refused(
        "80 5c",
        ["", "", "61"],
        unexpected(Opcode::DCP_NOOP, Part::Value),
    );
    refused(
        "80 54",
        ["00", "", ""],
        unexpected(Opcode::DCP_GET_FAILOVER_LOG, Part::Extras),
    );
    refused(
        "80 55",
        ["00000000", "", "00"],
        unexpected(Opcode::DCP_STREAM_END, Part::Value),
    );
    let marker = format!("{SEQNO_1} {SEQNO_2} 00000001");
    refused(
        "80 56",
        [&marker, "", "00"],
        unexpected(Opcode::DCP_SNAPSHOT_MARKER, Part::Value),
    );
    let commit = format!("{SEQNO_1} {SEQNO_2}");
    refused(
        "80 62",
        [&commit, KEY, "61"],
        unexpected(Opcode::DCP_COMMIT, Part::Value),
    );
    let name = "61".repeat(201);
    let found = 201;
    let error = WireError::Length {
        opcode: Opcode::DCP_OPEN,
        part: Part::Key,
        found,
    };
    refused("80 50", ["00000000 00000001", &name, ""], error);
}

#[test]
fn number_outside_its_range_is_refused() {
    let bad = |opcode, what, found| WireError::BadValue {
        opcode,
        what,
        found,
    };
    refused(
        "80 55",
        ["00000009", "", ""],
        bad(Opcode::DCP_STREAM_END, "stream end reason", 9),
    );
    refused(
        "80 5b",
        ["00", "", ""],
        bad(Opcode::DCP_SET_VBUCKET_STATE, "vBucket state", 0),
    );
    refused(
        "80 5b",
        ["05", "", ""],
        bad(Opcode::DCP_SET_VBUCKET_STATE, "vBucket state", 5),
    );
    refused(
        "80 56",
        ["01", "", ""],
        bad(Opcode::DCP_SNAPSHOT_MARKER, "marker version", 1),
    );
    let zero = mutation("0000000000000000", "0000");
    refused(
        "80 57",
        [&zero, KEY, ""],
        bad(Opcode::DCP_MUTATION, "seqno", 0),
    );
    let meta = mutation(SEQNO_1, "0007");
    refused(
        "80 57",
        [&meta, KEY, ""],
        bad(Opcode::DCP_MUTATION, "extended metadata length", 7),
    );
    let deletion = format!("{SEQNO_1} {SEQNO_1} 00000000 01");
    refused(
        "80 58",
        [&deletion, KEY, ""],
        bad(Opcode::DCP_DELETION, "unused byte", 1),
    );
    let prepare = |deleted, level| {
        format!("{SEQNO_1} {SEQNO_1} 00000000 00000000 00000000 00 {deleted} {level}")
    };
    refused(
        "80 60",
        [&prepare("02", "01"), KEY, ""],
        bad(Opcode::DCP_PREPARE, "deleted", 2),
    );
    refused(
        "80 60",
        [&prepare("00", "00"), KEY, ""],
        bad(Opcode::DCP_PREPARE, "durability level", 0),
    );
    let backwards = format!("{SEQNO_2} {SEQNO_2}");
    assert!(matches!(
        decode("80 63", 0, 0, [&backwards, KEY, ""]),
        Err(WireError::BadValue { found: 2, .. })
    ));
    let event = |id, version| format!("{SEQNO_1} {id} {version}");
    let unknown = bad(Opcode::DCP_SYSTEM_EVENT, "system event", 2);
    refused("80 5f", [&event("00000002", "00"), "", ""], unknown);
    let unknown = bad(Opcode::DCP_SYSTEM_EVENT, "system event version", 1);
    refused("80 5f", [&event("00000003", "01"), "61", ""], unknown);
}

#[test]
fn datatype_or_cas_on_a_command_without_one_is_refused() {
    let mutation = mutation(SEQNO_1, "0000");
    let bits = |opcode, bits| {
        Err(WireError::UnknownBits {
            opcode,
            what: "datatype",
            bits,
        })
    };
    assert_eq!(
        decode("80 57", 0x0f, 0, [&mutation, KEY, ""]),
        bits(Opcode::DCP_MUTATION, 8)
    );
    assert_eq!(
        decode("80 5c", 1, 0, ["", "", ""]),
        bits(Opcode::DCP_NOOP, 1)
    );
    let commit = format!("{SEQNO_1} {SEQNO_2}");
    for (first, opcode, extras, key) in [
        ("80 61", Opcode::DCP_SEQNO_ACK, SEQNO_1, ""),
        ("80 62", Opcode::DCP_COMMIT, &commit, KEY),
        ("80 63", Opcode::DCP_ABORT, &commit, KEY),
    ] {
        let refused = WireError::BadValue {
            opcode,
            what: "CAS",
            found: 5,
        };
        assert_eq!(decode(first, 0, 5, [extras, key, ""]), Err(refused));
        assert!(decode(first, 0, 0, [extras, key, ""]).is_ok());
    }
}

#[test]
fn response_with_another_layout_is_refused() {
    let length = |opcode, found| WireError::Length {
        opcode,
        part: Part::Value,
        found,
    };
    let log = format!("{SEQNO_1} {SEQNO_2}");
    refused(
        "81 53",
        ["", "", SEQNO_1],
        length(Opcode::DCP_STREAM_REQ, 8),
    );
    refused(
        "81 54",
        ["", "", &format!("{log} 00")],
        length(Opcode::DCP_GET_FAILOVER_LOG, 17),
    );
    let opcode = Opcode::DCP_NOOP;
    refused(
        "81 5c",
        ["", "", "00"],
        WireError::Unexpected {
            opcode,
            part: Part::Value,
        },
    );
    refused(
        "81 5c",
        ["", "61", ""],
        WireError::Unexpected {
            opcode,
            part: Part::Key,
        },
    );
    for seqno in ["", "00000000000000", "000000000000000000"] {
        let bytes = hex(&format!(
            "81 53 0000 00 00 0023 {:08x} 00000000 0000000000000000 {seqno}",
            seqno.len() / 2
        ));
        let error = length(Opcode::DCP_STREAM_REQ, seqno.len() / 2);
        assert_eq!(Message::decode(&frame(&bytes)), Err(error));
    }
}

#[test]
fn stream_id_on_a_command_without_stream_is_refused() {
    let with_stream_id = |opcode: &str| {
        Message::decode(&frame(&hex(&format!(
            "08 {opcode} 03 00 00 00 0000 00000003 00000000 {:016x} 220001",
            0
        ))))
    };
    assert!(with_stream_id("52").is_ok());
    for (opcode, code) in [
        (Opcode::DCP_NOOP, "5c"),
        (Opcode::DCP_GET_FAILOVER_LOG, "54"),
    ] {
        assert_eq!(
            with_stream_id(code),
            Err(WireError::Unexpected {
                opcode,
                part: Part::Framing
            })
        );
    }
}

#[test]
fn response_framing_is_accepted_only_if_well_formed() {
    let framed = |framing: &str| {
        let size = hex(framing).len();
        let header = format!(
            "18 5c {size:02x} 00 00 00 0000 {size:08x} 00000000 {:016x}",
            0
        );
        Message::decode(&frame(&hex(&format!("{header} {framing}"))))
    };
    assert!(framed("02 0007").is_ok(), "how long the server took");
    let error = WireError::Length {
        opcode: Opcode::DCP_NOOP,
        part: Part::Framing,
        found: 2,
    };
    assert_eq!(framed("02 00"), Err(error));
}

#[test]
fn command_outside_the_change_protocol_is_named_in_the_error() {
    for (first, opcode) in [
        ("80 1f", Opcode::HELLO),
        ("80 5a", Opcode::DCP_FLUSH),
        ("80 ee", Opcode(0xee)),
    ] {
        let error = WireError::UnknownOpcode { opcode };
        assert_eq!(error.status(), Some(Status::UNKNOWN_COMMAND));
        refused(first, ["", "", ""], error);
    }
}
