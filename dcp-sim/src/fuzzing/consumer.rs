//! S27: any producer against a node that follows it with two vBuckets. The engine runs whenever the
//! node asks for it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{
    DurabilityLevel, FailoverEntry, FailoverLog, Item, Key, Operation, Seqno, State, VBucketState,
    VbUuid, Vbid,
};
use lowtide_persistence::Engine;
use lowtide_persistence::couchstore::Couchstore;

use super::home::empty_store;
use super::input::Input;
use crate::consumer::ConsumerError;
use crate::node::{Action, Event, Node, NodeConfig, NodeError, Observation, run_call};
use crate::wire::{
    Command, Frame, ItemFormat, Marker, MarkerFlags, MarkerForm, Message, Opcode, Reply, Request,
    Response, Status, StreamEndReason,
};

const VBS: [Vbid; 2] = [Vbid(0), Vbid(1)];
/// More actions than this after one message are an endless loop.
const ACTIONS_MAX: usize = 10_000;

struct Follower {
    node: Node,
    engine: Couchstore,
    due: VecDeque<Action>,
    /// Stream requests of this connection: vBucket and opaque, the latest of each vBucket last.
    requests: Vec<(Vbid, u32)>,
    /// Range of the current snapshot of each vBucket.
    snapshots: [Option<(Seqno, Seqno)>; 2],
}

impl Follower {
    fn new() -> Self {
        let config = NodeConfig::new().with_buffer_bytes(500);
        let mut node = match Node::new(config) {
            Ok(node) => node,
            Err(error) => unreachable!("the configuration is valid: {error}"),
        };
        node.observe();
        for vb in VBS {
            let state = VBucketState::new(State::Replica, FailoverLog::new(VbUuid(7)));
            node.add_vbucket(vb, &state);
        }
        let mut follower = Self {
            node,
            engine: empty_store(&VBS),
            due: VecDeque::new(),
            requests: Vec::new(),
            snapshots: [None, None],
        };
        follower.connect();
        follower
    }

    /// Opens a new connection. Only settled vBuckets can be requested.
    fn connect(&mut self) {
        let gone = self.node.step(Event::ProducerGone { peer: 0 }, 1);
        assert!(gone.is_ok(), "{gone:?}");
        self.due.extend(gone.into_iter().flatten());
        self.requests.clear();
        let settled: Vec<_> = VBS
            .into_iter()
            .filter(|&vb| self.node.is_settled(vb))
            .collect();
        let asked = self.node.follow(0, &settled);
        assert!(asked.is_ok(), "{asked:?}");
        self.due.extend(asked.into_iter().flatten());
    }

    fn receive(&mut self, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        let received = self.node.step(Event::FromProducer { peer: 0, bytes }, 1);
        self.check_observations();
        match received {
            Ok(actions) => self.due.extend(actions),
            Err(error) => {
                assert!(!is_internal(&error), "{error}");
                self.connect();
            }
        }
    }

    /// Checks that nothing is applied outside a snapshot.
    fn check_observations(&mut self) {
        for observation in self.node.take_observations() {
            match observation {
                Observation::Marker { vb, marker } => {
                    if let Some(snapshot) = self.snapshots.get_mut(usize::from(vb.0)) {
                        *snapshot = Some((marker.start, marker.end));
                    }
                }
                Observation::Item { vb, item } => {
                    let seqno = item.seqno;
                    let snapshot = self.snapshots.get(usize::from(vb.0)).copied().flatten();
                    // A snapshot that was loaded or rolled back in part continues without a marker.
                    let inside = snapshot.is_none_or(|(start, end)| start <= seqno && seqno <= end);
                    assert!(inside, "vBucket {vb}: {seqno} is outside {snapshot:?}");
                }
                Observation::RolledBack { vb, .. } => {
                    if let Some(snapshot) = self.snapshots.get_mut(usize::from(vb.0)) {
                        *snapshot = None;
                    }
                }
                Observation::Opened { .. } => {}
            }
        }
        for partition in self.node.partitions() {
            assert_eq!(partition.vbucket.manager().check(), Vec::<String>::new());
        }
    }

    /// Executes the node's actions.
    fn run(&mut self) {
        for round in 0.. {
            assert!(round < ACTIONS_MAX, "there is always more");
            let Some(action) = self.due.pop_front() else {
                return;
            };
            let event = match action {
                Action::Commit { shard, group } => {
                    let group = group.commit(&self.engine, 1);
                    Event::FlushDone { shard, group }
                }
                Action::Call(call) => Event::EngineDone(run_call(call, &self.engine)),
                Action::WakeFlusher { shard } => Event::FlushDue { shard },
                Action::Later { event, .. } => *event,
                Action::ToProducer(_, bytes) => {
                    self.record_requests(&bytes);
                    continue;
                }
                _ => continue,
            };
            match self.node.step(event, 1) {
                Ok(actions) => self.due.extend(actions),
                Err(error) => assert!(error.to_string().is_empty(), "its own work failed: {error}"),
            }
            self.check_observations();
        }
    }

    fn record_requests(&mut self, bytes: &[u8]) {
        let mut bytes = BytesMut::from(bytes);
        while let Ok(Some(frame)) = Frame::decode(&mut bytes) {
            if let Ok(Message::Request(request)) = Message::decode(&frame)
                && let Command::StreamRequest(_) = request.command
            {
                self.requests.push((request.vb, request.opaque));
            }
        }
        assert!(bytes.is_empty(), "whole frames are sent");
    }
}

/// Returns `true` for an error that no input may cause.
fn is_internal(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Internal { .. }
            | NodeError::Consumer {
                source: ConsumerError::Internal { .. },
                ..
            }
    )
}

/// Runs a node against the producer that `data` describes.
pub fn consumer(data: &[u8]) {
    let mut follower = Follower::new();
    let mut input = Input(data);
    follower.run();
    while !input.is_empty() {
        match input.byte() % 16 {
            0 => follower.receive(input.piece()),
            1 => follower.connect(),
            2..=4 => follower.run(),
            _ => {
                let mut bytes = Vec::new();
                if encode(&mut input, &follower, &mut bytes).is_some() {
                    follower.receive(&bytes);
                }
            }
        }
    }
    follower.run();
    for vb in VBS {
        assert_eq!(follower.engine.check(vb).ok(), Some(Vec::new()));
    }
}

/// Encodes a message that a producer might send, usually of a requested stream.
fn encode(input: &mut Input<'_>, follower: &Follower, bytes: &mut Vec<u8>) -> Option<()> {
    let vb = input.one_of(&[0, 0, 0, 1, 2]);
    let asked = follower.requests.iter().rfind(|(asked, _)| asked.0 == vb);
    let opaque = match input.byte() {
        255 => 9_999,
        _ => asked.map_or(0, |(_, opaque)| *opaque),
    };
    let vb = Vbid(vb);
    let high = follower
        .node
        .partition(vb)
        .map_or(Seqno::ZERO, |partition| partition.vbucket.high_seqno());
    let ahead = |input: &mut Input<'_>| Seqno(high.0 + u64::from(input.byte() % 4));
    let command = match input.byte() % 20 {
        0..=3 => {
            let entries = [FailoverEntry {
                uuid: VbUuid(u64::from(input.byte())),
                seqno: input.seqno(),
            }];
            let entries = entries
                .into_iter()
                .filter(|entry| entry.uuid != VbUuid(0))
                .collect();
            return Response {
                opaque,
                reply: Reply::StreamAccepted(entries),
            }
            .encode(bytes)
            .ok();
        }
        4 => {
            return Response {
                opaque,
                reply: Reply::Rollback(input.seqno()),
            }
            .encode(bytes)
            .ok();
        }
        5 => {
            let opcode = input
                .one_of(&[None, Some(())])
                .map_or(Opcode::DCP_STREAM_REQ, |()| Opcode::DCP_CONTROL);
            let status = Status(input.one_of(&[0_u16, 1, 2, 7, 0x22, 0x23, 0x83]));
            return Response::status(opcode, opaque, status).encode(bytes).ok();
        }
        6..=9 => {
            let start = ahead(input);
            Command::SnapshotMarker(Marker {
                start,
                end: Seqno(start.0 + u64::from(input.byte() % 6)),
                flags: MarkerFlags(u32::from(input.byte() % 64)),
                form: match input.byte() % 2 {
                    0 => MarkerForm::V1,
                    _ => MarkerForm::V2_2 {
                        max_visible: input.seqno(),
                        high_completed: input.seqno(),
                        purge_seqno: input.seqno(),
                        high_prepared: input.seqno(),
                    },
                },
            })
        }
        10 => Command::SeqnoAdvanced(input.seqno()),
        11 => Command::SetVBucketState(match input.byte() % 4 {
            0 => State::Active,
            1 => State::Replica,
            2 => State::Pending,
            _ => State::Dead,
        }),
        12 => Command::StreamEnd(
            input
                .one_of(&[None, Some(())])
                .map_or(StreamEndReason::Ok, |()| StreamEndReason::Rollback),
        ),
        13 => Command::Noop,
        _ => {
            let operation = match input.byte() % 8 {
                0 => Operation::Deletion,
                1 => Operation::Expiration,
                2 => Operation::Prepare,
                3 => Operation::Commit,
                4 => Operation::Abort,
                _ => Operation::Mutation,
            };
            let seqno = ahead(input);
            let key = Key::in_collection(input.one_of(&[0, 8]), &[b'a' + input.byte() % 4]);
            let item = Item {
                seqno,
                prepare_seqno: Seqno(seqno.0.saturating_sub(u64::from(input.byte() % 4))),
                durability: (operation == Operation::Prepare).then_some(DurabilityLevel::Majority),
                value: (!operation_deletes(operation))
                    .then(|| Bytes::copy_from_slice(input.piece())),
                ..Item::new(operation, key)
            };
            Command::from_item(&item, &ItemFormat::default()).ok()?
        }
    };
    Request::new(vb, opaque, command).encode(bytes).ok()
}

fn operation_deletes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Deletion | Operation::Expiration | Operation::Abort
    )
}
