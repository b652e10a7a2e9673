//! A replica that moves to another active, and the streams of its own clients.

use bytes::BytesMut;
use lowtide_checkpoint::ResumePoint;

use super::*;
use crate::wire::{Command, Frame, Message, Reply, Request, StreamEndReason};

const CLIENT: NodeId = 1_000;

/// Returns the messages that a node sends to its client.
fn told(node: &mut Node, mut actions: Vec<Action>) -> Vec<Message> {
    let mut bytes = BytesMut::new();
    while let Some(action) = actions.pop() {
        match action {
            Action::WakeSender(CLIENT) => {
                actions.extend(
                    node.step(Event::SendDue { peer: CLIENT }, 1)
                        .expect("it is connected"),
                );
            }
            Action::ToConsumer(CLIENT, sent) => bytes.extend_from_slice(&sent),
            _ => {}
        }
    }
    let frames = std::iter::from_fn(|| Frame::decode(&mut bytes).expect("sound"));
    frames
        .map(|frame| Message::decode(&frame).expect("sound"))
        .collect()
}

fn follow(active: &mut Node, replica: &mut Node) {
    active.accept(1);
    let actions = replica.follow(0, &[VB]).expect("it has it");
    exchange(active, replica, actions);
}

/// Guards S29.
#[test]
fn replica_that_moves_to_another_branch_ends_its_streams() {
    let (mut first, mut second, mut replica) = (
        node(State::Active),
        node(State::Replica),
        node(State::Replica),
    );
    let _woken = write(&mut first, "a", Some("one"));
    follow(&mut first, &mut second);
    follow(&mut first, &mut replica);

    replica.accept_client(CLIENT, crate::wire::KeyForm::Collections);
    let mut client = Consumer::new("client", ConsumerOptions::new()).expect("a good name");
    let start = ResumePoint {
        uuid: VbUuid(9),
        seqno: Seqno::ZERO,
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno::ZERO,
    };
    client.request_stream(VB, start).expect("sendable");
    let bytes = client.take_output();
    let actions = replica
        .step(
            Event::FromConsumer {
                peer: CLIENT,
                bytes,
            },
            1,
        )
        .expect("sound");
    let told_first = told(&mut replica, actions);
    let is_log = |message: &Message| matches!(message, Message::Response(response) if matches!(&response.reply, Reply::StreamAccepted(log) if log.len() == 1));
    assert!(told_first.iter().any(is_log), "{told_first:?}");
    let mutations = |told: &[Message]| {
        let is_one = |message: &&Message| {
            matches!(
                message,
                Message::Request(Request {
                    command: Command::Mutation(_),
                    ..
                })
            )
        };
        told.iter().filter(is_one).count()
    };
    assert_eq!(mutations(&told_first), 1);

    second
        .step(
            Event::SetState {
                vb: VB,
                state: State::Active,
                uuid: Some(VbUuid(5)),
            },
            1,
        )
        .expect("a replica");
    let _woken = write(&mut second, "b", Some("two"));
    follow(&mut second, &mut replica);
    assert_eq!(
        replica.partition(VB).expect("there").vbucket.high_seqno(),
        Seqno(2)
    );
    let told_then = told(&mut replica, vec![Action::WakeSender(CLIENT)]);
    let [
        Message::Request(Request {
            command: Command::StreamEnd(reason),
            ..
        }),
    ] = &told_then[..]
    else {
        panic!("{told_then:?}")
    };
    assert_eq!(
        *reason,
        StreamEndReason::StateChanged,
        "what the new branch has it gets when it has heard of that"
    );
}
