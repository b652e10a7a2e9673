//! Strategies that generate every message, for property tests.

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, Datatype, DurabilityLevel, FailoverEntry, Seqno, State, VbUuid, Vbid,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::wire::*;

pub fn bytes(size: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), size).prop_map(Bytes::from)
}

fn seqno() -> impl Strategy<Value = Seqno> {
    any::<u64>().prop_map(Seqno)
}

/// Generates a seqno other than 0.
fn operation_seqno() -> impl Strategy<Value = Seqno> {
    (1..=u64::MAX).prop_map(Seqno)
}

fn datatype() -> impl Strategy<Value = Datatype> {
    (0u8..8).prop_map(Datatype)
}

/// Generates a key and a value. With framing extras a key has at most 255 bytes.
fn document() -> impl Strategy<Value = (Datatype, Bytes, Bytes)> {
    (datatype(), bytes(1..=255), bytes(0..=300))
}

fn open() -> impl Strategy<Value = Command> {
    (0u32.., bytes(1..=Open::NAME_BYTES_MAX), bytes(0..=40)).prop_map(|(flags, name, options)| {
        Command::Open(Open {
            flags: OpenFlags(flags & OpenFlags::KNOWN.0),
            name,
            options,
        })
    })
}

fn control() -> impl Strategy<Value = Command> {
    (bytes(1..=300), bytes(1..=40))
        .prop_map(|(key, value)| Command::Control(Control { key, value }))
}

fn stream_request() -> impl Strategy<Value = Command> {
    (
        0u32..,
        seqno(),
        seqno(),
        any::<u64>(),
        seqno(),
        seqno(),
        bytes(0..=60),
    )
        .prop_map(
            |(flags, start, end, uuid, snapshot_start, snapshot_end, filter)| {
                Command::StreamRequest(StreamRequest {
                    flags: StreamRequestFlags(flags & StreamRequestFlags::KNOWN.0),
                    start,
                    end,
                    uuid: VbUuid(uuid),
                    snapshot_start,
                    snapshot_end,
                    filter,
                })
            },
        )
}

fn marker() -> impl Strategy<Value = Command> {
    let form = prop_oneof![
        Just(MarkerForm::V1),
        (seqno(), seqno()).prop_map(|(max_visible, high_completed)| MarkerForm::V2_0 {
            max_visible,
            high_completed
        }),
        (seqno(), seqno(), seqno(), seqno()).prop_map(
            |(max_visible, high_completed, purge_seqno, high_prepared)| MarkerForm::V2_2 {
                max_visible,
                high_completed,
                purge_seqno,
                high_prepared
            }
        ),
    ];
    (seqno(), seqno(), 0u32.., form).prop_map(|(start, end, flags, form)| {
        Command::SnapshotMarker(Marker {
            start,
            end,
            flags: MarkerFlags(flags & MarkerFlags::KNOWN.0),
            form,
        })
    })
}

fn mutation() -> impl Strategy<Value = Command> {
    (
        operation_seqno(),
        any::<(u64, u64, u32, u32, u32, u8)>(),
        document(),
    )
        .prop_map(
            |(seqno, (rev_seqno, cas, flags, expiry, lock_time, nru), (datatype, key, value))| {
                let cas = Cas(cas);
                Command::Mutation(Mutation {
                    seqno,
                    rev_seqno,
                    cas,
                    flags,
                    expiry,
                    lock_time,
                    nru,
                    datatype,
                    key,
                    value,
                })
            },
        )
}

fn removal() -> impl Strategy<Value = Command> {
    let time = option::of(any::<u32>());
    (
        operation_seqno(),
        any::<(u64, u64, bool)>(),
        time,
        document(),
    )
        .prop_map(
            |(seqno, (rev_seqno, cas, expired), delete_time, (datatype, key, value))| {
                let cas = Cas(cas);
                match delete_time {
                    Some(delete_time) if expired => Command::Expiration(Expiration {
                        seqno,
                        rev_seqno,
                        cas,
                        delete_time,
                        datatype,
                        key,
                        value,
                    }),
                    _ => Command::Deletion(Deletion {
                        seqno,
                        rev_seqno,
                        cas,
                        delete_time,
                        datatype,
                        key,
                        value,
                    }),
                }
            },
        )
}

fn prepare() -> impl Strategy<Value = Command> {
    let durability = prop_oneof![
        Just(DurabilityLevel::Majority),
        Just(DurabilityLevel::MajorityAndPersistOnMaster),
        Just(DurabilityLevel::PersistToMajority),
    ];
    (
        operation_seqno(),
        any::<(u64, u64, u32, u32, u32, u8, bool)>(),
        durability,
        document(),
    )
        .prop_map(|(seqno, fields, durability, (datatype, key, value))| {
            let (rev_seqno, cas, flags, expiry, lock_time, nru, deleted) = fields;
            let cas = Cas(cas);
            Command::Prepare(Prepare {
                seqno,
                rev_seqno,
                cas,
                flags,
                expiry,
                lock_time,
                nru,
                deleted,
                durability,
                datatype,
                key,
                value,
            })
        })
}

fn resolution() -> impl Strategy<Value = Command> {
    (1..u64::MAX, 1u64.., bytes(1..=255), any::<bool>()).prop_map(
        |(prepare, distance, key, commit)| {
            let (prepare_seqno, seqno) = (Seqno(prepare), Seqno(prepare.saturating_add(distance)));
            if commit {
                Command::Commit(Commit {
                    prepare_seqno,
                    seqno,
                    key,
                })
            } else {
                Command::Abort(Abort {
                    prepare_seqno,
                    seqno,
                    key,
                })
            }
        },
    )
}

fn system_event() -> impl Strategy<Value = Command> {
    let ids = any::<(u64, u32, u32)>();
    let event = prop_oneof![
        (ids, option::of(any::<u32>()), bytes(1..=255)).prop_map(|(ids, max_ttl, name)| {
            let (manifest_uid, scope, collection) = ids;
            Event::CollectionCreated {
                manifest_uid,
                scope,
                collection,
                max_ttl,
                name,
            }
        }),
        ids.prop_map(
            |(manifest_uid, scope, collection)| Event::CollectionDropped {
                manifest_uid,
                scope,
                collection
            }
        ),
        (any::<(u64, u32)>(), bytes(1..=255)).prop_map(|((manifest_uid, scope), name)| {
            Event::ScopeCreated {
                manifest_uid,
                scope,
                name,
            }
        }),
        any::<(u64, u32)>().prop_map(|(manifest_uid, scope)| Event::ScopeDropped {
            manifest_uid,
            scope
        }),
        (
            prop_oneof![Just(0), Just(1), Just(3), Just(4), Just(5)],
            datatype(),
            bytes(0..=255),
            bytes(1..=99)
        )
            .prop_map(|(id, datatype, name, value)| Event::FlatBuffers {
                id,
                datatype,
                name,
                value
            }),
    ];
    (operation_seqno(), event)
        .prop_map(|(seqno, event)| Command::SystemEvent(SystemEvent { seqno, event }))
}

fn small() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::CloseStream),
        Just(Command::GetFailoverLog),
        Just(Command::Noop),
        seqno().prop_map(Command::SeqnoAck),
        seqno().prop_map(Command::SeqnoAdvanced),
        any::<u32>().prop_map(Command::BufferAck),
        (0usize..9).prop_map(|index| Command::StreamEnd(StreamEndReason::ALL[index])),
        (0usize..4).prop_map(|index| {
            Command::SetVBucketState(
                [State::Active, State::Replica, State::Pending, State::Dead][index],
            )
        }),
    ]
}

/// Generates a message that carries an operation.
pub fn data() -> impl Strategy<Value = Command> {
    prop_oneof![
        mutation(),
        removal(),
        prepare(),
        resolution(),
        system_event()
    ]
}

pub fn request() -> impl Strategy<Value = Request> {
    let command = prop_oneof![
        open(),
        control(),
        stream_request(),
        marker(),
        small(),
        mutation(),
        removal(),
        prepare(),
        resolution(),
        system_event()
    ];
    (any::<(u16, u32)>(), command, option::of(any::<u16>())).prop_map(
        |((vb, opaque), command, stream_id)| {
            let opcode = command.opcode();
            let may_have_one = opcode.is_stream_message() || opcode == Opcode::DCP_CLOSE_STREAM;
            let stream_id = stream_id.filter(|_| may_have_one).map(StreamId);
            Request {
                vb: Vbid(vb),
                opaque,
                stream_id,
                command,
            }
        },
    )
}

fn response() -> impl Strategy<Value = Response> {
    let log = || {
        vec(any::<(u64, u64)>(), 0..=25).prop_map(|entries| {
            let entry = |(uuid, seqno)| FailoverEntry {
                uuid: VbUuid(uuid),
                seqno: Seqno(seqno),
            };
            entries.into_iter().map(entry).collect::<Vec<_>>()
        })
    };
    let reply = prop_oneof![
        log().prop_map(Reply::StreamAccepted),
        seqno().prop_map(Reply::Rollback),
        (log(), any::<bool>()).prop_map(|(entries, dcp)| {
            let opcode = if dcp {
                Opcode::DCP_GET_FAILOVER_LOG
            } else {
                Opcode::GET_FAILOVER_LOG
            };
            Reply::FailoverLog { opcode, entries }
        }),
        (0x55u8..=0x67).prop_map(|opcode| Reply::Status {
            opcode: Opcode(opcode),
            status: Status::SUCCESS,
            body: Bytes::new()
        }),
        (any::<u8>(), 0x24u16.., bytes(0..=60)).prop_map(|(opcode, status, body)| Reply::Status {
            opcode: Opcode(opcode),
            status: Status(status),
            body
        }),
    ];
    (any::<u32>(), reply).prop_map(|(opaque, reply)| Response { opaque, reply })
}

/// Generates any message that can be sent.
pub fn message() -> impl Strategy<Value = Message> {
    prop_oneof![4 => request().prop_map(Message::from), 1 => response().prop_map(Message::from)]
}
