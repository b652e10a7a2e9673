//! S26: any client against a producer over one vBucket that lives on meanwhile: it is written to, flushed, purged, rolled
//! back, closed and told to change its role.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, Key, ReadLimit, Seqno, State, VBucket, VBucketState,
    VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::{BackfillStep, Engine, Flusher};

use super::input::Input;
use crate::producer::{Collections, Partitions, Producer};
use crate::wire::{
    Command, Control, Event, Frame, Message, Opcode, Open, OpenFlags, Request, Response, Status,
    StreamEndReason, StreamId, StreamRequest, StreamRequestFlags, SystemEvent, flow_control_bytes,
};

const VB: Vbid = Vbid(0);
const UUID: VbUuid = VbUuid(7);
/// Whoever is asked so often what it has to send goes round in circles.
const POLLS_MAX: usize = 10_000;

struct Home {
    vbucket: VBucket,
    engine: Couchstore,
    flusher: Flusher,
    collections: Collections,
}

impl Partitions for Home {
    fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
        (vb == VB).then_some(&self.vbucket)
    }

    fn purge_seqno(&self, vb: Vbid) -> Seqno {
        self.engine.info(vb).map_or(Seqno::ZERO, |info| info.purge)
    }

    fn persisted_seqno(&self, vb: Vbid) -> Seqno {
        self.flusher.persisted_seqno(vb).unwrap_or_default()
    }

    fn collections(&self, _vb: Vbid) -> Option<&Collections> {
        Some(&self.collections)
    }
}

impl Home {
    fn new() -> Option<Self> {
        let (disk, directory) = (MemoryDisk::new(), Path::new("/store"));
        disk.create_dir(directory).ok()?;
        let (engine, _) =
            Couchstore::open(Arc::new(disk), directory, CouchstoreConfig::default()).ok()?;
        engine.create(VB).ok()?;
        let state = VBucketState::new(State::Active, FailoverLog::new(UUID));
        let config = CheckpointConfig {
            persistence: true,
            ..CheckpointConfig::default()
        };
        let vbucket = VBucket::new(VB, &state, config);
        let mut flusher = Flusher::new(ReadLimit::NONE);
        flusher.attach(VB, state, Seqno::ZERO);
        Some(Self {
            vbucket,
            engine,
            flusher,
            collections: Collections::default(),
        })
    }

    fn write(&mut self, item: Item) {
        // Refused when it is not active any more.
        if let Ok(written) = self.vbucket.write(item.clone(), 1) {
            self.collections.take_note(&Item {
                seqno: written.queued.seqno,
                ..item
            });
        }
    }

    fn flush(&mut self) {
        if let Ok(group) = self.flusher.begin([&self.vbucket]) {
            let committed = group.commit(&self.engine, 1);
            self.flusher.finish(committed);
        }
        self.vbucket.manager().expel();
    }
}

/// What a client may rely on, looked at as the bytes come.
#[derive(Default)]
struct Client {
    streams: BTreeMap<(Vbid, Option<StreamId>), Snapshot>,
}

/// The one a stream is in.
struct Snapshot {
    start: Seqno,
    end: Seqno,
    last: Option<Seqno>,
}

impl Client {
    fn take(&mut self, request: &Request) {
        let stream = (request.vb, request.stream_id);
        match &request.command {
            Command::SnapshotMarker(marker) => {
                assert!(marker.start <= marker.end, "{marker:?}");
                self.streams.insert(
                    stream,
                    Snapshot {
                        start: marker.start,
                        end: marker.end,
                        last: None,
                    },
                );
            }
            Command::StreamEnd(_) => {
                self.streams.remove(&stream);
            }
            command => {
                let Some(seqno) = command.seqno() else { return };
                let range = self.streams.get_mut(&stream);
                assert!(range.is_some(), "{command:?} came without a marker");
                let Some(Snapshot { start, end, last }) = range else {
                    return;
                };
                assert!(
                    (*start..=*end).contains(&seqno),
                    "{command:?} is outside {start}-{end}"
                );
                assert!(
                    last.is_none_or(|last| last < seqno),
                    "{command:?} came after {last:?}"
                );
                *last = Some(seqno);
            }
        }
    }
}

/// Whatever a client sends, and whatever happens to the vBucket meanwhile.
pub fn producer(data: &[u8]) {
    let Some(mut home) = Home::new() else { return };
    let mut input = Input(data);
    let mut producer = match input.byte() % 4 {
        0 => Producer::without_collections("fuzzed"),
        _ => Producer::new("fuzzed"),
    };
    let mut client = Client::default();
    let mut steps = Vec::new();
    while !input.is_empty() {
        if !act(
            &mut input,
            &mut producer,
            &mut home,
            &mut client,
            &mut steps,
        ) {
            break;
        }
    }
    producer.close(&home);
    let cursors = home.vbucket.manager().cursors().len();
    assert_eq!(cursors, 1, "the flusher's alone is left");
    assert!(
        producer.take_backfills().is_empty(),
        "nobody waits for the disk any more"
    );
    assert_eq!(home.vbucket.manager().check(), Vec::<String>::new());
}

/// The next thing that happens. Returns whether the connection stays.
fn act(
    input: &mut Input<'_>,
    producer: &mut Producer,
    home: &mut Home,
    client: &mut Client,
    steps: &mut Vec<BackfillStep>,
) -> bool {
    match input.byte() % 16 {
        0 => return producer.receive(input.piece(), home).is_ok(),
        1..=6 => {
            let mut bytes = Vec::new();
            if encode(input, &mut bytes).is_some() {
                return producer.receive(&bytes, home).is_ok();
            }
        }
        7..=9 => {
            let key = Key::in_collection(input.one_of(&[0, 8, 9]), &[b'a' + input.byte() % 4]);
            home.write(match input.byte() % 4 {
                0 => Item::deletion(key),
                _ => Item::mutation(key, Bytes::copy_from_slice(input.piece())),
            });
            producer.notify(VB);
        }
        10 => {
            home.flush();
        }
        11 => {
            let manager = home.vbucket.manager();
            match input.byte() % 3 {
                0 => manager.close(),
                1 => drop(manager.recover(usize::MAX)),
                _ => drop(home.engine.purge(VB, input.seqno())),
            }
        }
        12 => {
            let event = Event::CollectionDropped {
                manifest_uid: 1,
                scope: 0,
                collection: input.one_of(&[0, 8, 9]),
            };
            if let Ok(item) = (SystemEvent {
                seqno: Seqno(1),
                event,
            })
            .to_item()
            {
                home.write(Item {
                    seqno: Seqno::ZERO,
                    ..item
                });
            }
            producer.notify(VB);
        }
        13 => {
            let reason = input.one_of(&[0_u8, 1, 2, 6]);
            let reason = match reason {
                0 => {
                    let uuid = VbUuid(u64::from(input.byte()) + 100);
                    let (state, uuid) = match home.vbucket.state() {
                        State::Active => (State::Dead, None),
                        _ => (State::Active, Some(uuid)),
                    };
                    let _refused = home.vbucket.set_state(state, uuid);
                    StreamEndReason::StateChanged
                }
                1 => StreamEndReason::TooSlow,
                2 => StreamEndReason::LostPrivileges,
                _ => StreamEndReason::Rollback,
            };
            producer.end_streams(VB, reason, home);
        }
        _ => return poll(input, producer, home, client, steps),
    }
    true
}

/// Takes what there is to send, in pieces, and runs what the producer wants of the engine, some of it later.
fn poll(
    input: &mut Input<'_>,
    producer: &mut Producer,
    home: &Home,
    client: &mut Client,
    steps: &mut Vec<BackfillStep>,
) -> bool {
    let (budget, is_patient) = (
        usize::from(input.byte()) * 16,
        input.byte().is_multiple_of(4),
    );
    for round in 0.. {
        assert!(round < POLLS_MAX, "there is always more");
        let before = producer.flow_control();
        let Ok(bytes) = producer.poll(home, budget.max(1)) else {
            return false;
        };
        if !check_sent(
            &bytes,
            before.buffer_bytes(),
            before.unacknowledged_bytes(),
            producer,
            client,
        ) {
            return false;
        }
        steps.extend(producer.take_backfills());
        if is_patient {
            return true;
        }
        let mut has_run = false;
        for step in steps.drain(..) {
            has_run = true;
            if producer.backfilled(step.run(&home.engine), home).is_err() {
                return false;
            }
        }
        if bytes.is_empty() && !has_run && !producer.has_more() {
            return true;
        }
    }
    true
}

fn check_sent(
    bytes: &[u8],
    buffer_bytes: Option<u64>,
    mut unacknowledged_bytes: u64,
    producer: &Producer,
    client: &mut Client,
) -> bool {
    let mut sent = BytesMut::from(bytes);
    while let Ok(Some(frame)) = Frame::decode(&mut sent) {
        let counted = u64::from(flow_control_bytes(&frame));
        if let Some(buffer_bytes) = buffer_bytes.filter(|_| counted > 0) {
            assert!(
                unacknowledged_bytes < buffer_bytes,
                "more than one message passes the buffer"
            );
            unacknowledged_bytes += counted;
        }
        match Message::decode(&frame) {
            Ok(Message::Request(request)) => client.take(&request),
            Ok(Message::Response(_)) => {}
            Err(error) => assert!(
                error.to_string().is_empty(),
                "it sends what nobody can read: {error}"
            ),
        }
    }
    assert!(sent.is_empty(), "whole frames are sent");
    assert_eq!(
        producer.flow_control().unacknowledged_bytes(),
        unacknowledged_bytes,
        "the account"
    );
    true
}

/// A message a client might send.
fn encode(input: &mut Input<'_>, bytes: &mut Vec<u8>) -> Option<()> {
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
