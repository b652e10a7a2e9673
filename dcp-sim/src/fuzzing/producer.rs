//! S26: any client against a producer. Its vBucket is written to, flushed, purged, rolled back,
//! closed and set to other states.

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{Item, Key, Seqno, State, VbUuid};
use lowtide_persistence::{BackfillStep, Engine};

use super::client::Client;
use super::client_messages::encode;
use super::home::{Home, VB};
use super::input::Input;
use crate::producer::{Producer, ProducerError};
use crate::wire::{Event, Frame, Message, StreamEndReason, SystemEvent, flow_control_bytes};

/// More polls than this are an endless loop.
const POLLS_MAX: usize = 10_000;

/// Runs the producer against the client that `data` describes.
pub fn producer(data: &[u8]) {
    let mut home = Home::new();
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

/// Executes the next event. Returns `true` if the connection continues.
fn act(
    input: &mut Input<'_>,
    producer: &mut Producer,
    home: &mut Home,
    client: &mut Client,
    steps: &mut Vec<BackfillStep>,
) -> bool {
    match input.byte() % 16 {
        0 => return continues(producer.receive(input.piece(), home)),
        1..=6 => {
            let mut bytes = Vec::new();
            if encode(input, &mut bytes).is_some() {
                return continues(producer.receive(&bytes, home));
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
                1 => drop(manager.recover_memory(usize::MAX)),
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

/// Takes the output in pieces, and runs the backfill steps, some of them later.
fn poll(
    input: &mut Input<'_>,
    producer: &mut Producer,
    home: &Home,
    client: &mut Client,
    steps: &mut Vec<BackfillStep>,
) -> bool {
    let budget = usize::from(input.byte()) * 16;
    let is_patient = input.byte().is_multiple_of(4);
    for round in 0.. {
        assert!(round < POLLS_MAX, "there is always more");
        let before = producer.flow_control();
        let bytes = match producer.poll(home, budget.max(1)) {
            Ok(bytes) => bytes,
            Err(error) => return continues(Err::<(), _>(error)),
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
            if !continues(producer.backfilled(step.run(&home.engine), home)) {
                return false;
            }
        }
        if bytes.is_empty() && !has_run && !producer.has_more() {
            return true;
        }
    }
    true
}

/// Returns `true` if the connection continues. No input may lead to an impossible state.
fn continues<T>(result: Result<T, ProducerError>) -> bool {
    match result {
        Ok(_) => true,
        Err(error @ ProducerError::Internal { .. }) => unreachable!("{error}"),
        Err(_) => false,
    }
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
