//! Takeovers: no step before its time, no lost write, never two vBuckets that accept writes.

use super::*;
use crate::wire::Opcode;

fn rig_in_takeover() -> Rig {
    let mut rig = rig();
    rig.set("a");
    let wanted = StreamRequest {
        flags: StreamRequestFlags::TAKEOVER,
        ..request(0, u64::MAX, (0, 0))
    };
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(wanted)),
        [Status::SUCCESS]
    );
    rig
}

impl Rig {
    fn confirm(&mut self, opcode: Opcode) {
        self.answer(&Response::status(opcode, 77, Status::SUCCESS))
            .expect("sound");
    }

    fn die(&mut self) {
        assert_eq!(
            self.producer.take_events(),
            [ProducerEvent::TakenOver { vb: VB }]
        );
        self.node
            .vbucket
            .set_state(State::Dead, None)
            .expect("it may die");
        self.producer
            .end_streams(VB, StreamEndReason::StateChanged, &self.node);
    }
}

/// Guards S16.
#[test]
fn takeover_step_waits_for_the_previous_one() {
    let mut rig = rig_in_takeover();
    assert_eq!(
        rig.sent(),
        ["marker 0-1", "mutation @1"],
        "the marker was not answered yet"
    );
    rig.confirm(Opcode::DCP_SNAPSHOT_MARKER);
    assert_eq!(rig.sent(), ["set pending"]);
    rig.set("b");
    assert_eq!(rig.sent(), ["marker 2-2 on", "mutation @2"], "writes go on");
    assert_eq!(rig.producer.take_events(), []);
    rig.confirm(Opcode::DCP_SET_VBUCKET_STATE);
    rig.set("c");
    assert_eq!(
        rig.sent(),
        ["marker 3-3 on", "mutation @3"],
        "they do until it is dead"
    );
    rig.set("d");
    rig.die();
    assert_eq!(
        rig.sent(),
        ["marker 4-4 on", "mutation @4"],
        "what came before its death is sent"
    );
    for _ in 0..2 {
        rig.confirm(Opcode::DCP_SNAPSHOT_MARKER);
        assert_eq!(rig.sent(), [""; 0], "not all markers were answered");
    }
    rig.confirm(Opcode::DCP_SNAPSHOT_MARKER);
    assert_eq!(rig.sent(), ["set active"]);
    rig.confirm(Opcode::DCP_SET_VBUCKET_STATE);
    assert_eq!(rig.sent(), ["end ok"]);
    assert_eq!(rig.cursors(), 0);
}

/// Guards S16 for a vBucket without items.
#[test]
fn empty_vbucket_is_handed_over() {
    let mut rig = rig();
    let wanted = StreamRequest {
        flags: StreamRequestFlags::TAKEOVER,
        ..request(0, u64::MAX, (0, 0))
    };
    rig.ask(VB, Command::StreamRequest(wanted));
    assert_eq!(rig.sent(), ["set pending"]);
    rig.confirm(Opcode::DCP_SET_VBUCKET_STATE);
    assert_eq!(rig.sent(), [""; 0], "it is not dead yet");
    rig.die();
    assert_eq!(rig.sent(), ["set active"]);
    rig.confirm(Opcode::DCP_SET_VBUCKET_STATE);
    assert_eq!(rig.sent(), ["end ok"]);
}

/// Guards S13: a vBucket that dies for another reason ends the takeover like any stream.
#[test]
fn takeover_ends_if_the_vbucket_dies_for_another_reason() {
    let mut rig = rig_in_takeover();
    rig.sent();
    rig.node
        .vbucket
        .set_state(State::Dead, None)
        .expect("it may die");
    rig.producer
        .end_streams(VB, StreamEndReason::StateChanged, &rig.node);
    assert_eq!(rig.sent(), ["end state-changed"]);
}
