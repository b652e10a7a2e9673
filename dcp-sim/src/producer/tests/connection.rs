//! Properties of the connection: flags, options, no-operations, turns and answers of the consumer.

use super::*;
use crate::wire::Opcode;

const SECOND: u64 = 1_000_000_000;

#[test]
fn open_with_contradicting_flags_is_refused() {
    let opened = |flags: OpenFlags| {
        let mut rig = Rig {
            node: Home::new(State::Active, ReadLimit::NONE),
            producer: Producer::new("test"),
        };
        let open = Open {
            flags,
            name: Bytes::from_static(b"consumer"),
            options: Bytes::new(),
        };
        rig.ask(Vbid(0), Command::Open(open))
    };
    let producer = OpenFlags::PRODUCER;
    let (none, datatype) = (OpenFlags::NO_VALUE, OpenFlags::NO_VALUE_WITH_DATATYPE);
    let (xattrs, deleted) = (
        OpenFlags::INCLUDE_XATTRS,
        OpenFlags::INCLUDE_DELETED_USER_XATTRS,
    );
    for good in [
        producer,
        producer.with(none),
        producer.with(datatype),
        producer.with(xattrs).with(deleted),
    ] {
        assert_eq!(opened(good), [Status::SUCCESS], "{good:?}");
    }
    for bad in [
        OpenFlags::NONE,
        producer.with(none).with(datatype),
        producer.with(deleted),
    ] {
        assert_eq!(opened(bad), [Status::INVALID], "{bad:?}");
    }
}

#[test]
fn options_get_the_status_of_couchbase() {
    let (good, invalid, unsupported) = (Status::SUCCESS, Status::INVALID, Status::NOT_SUPPORTED);
    for (key, value, status) in [
        ("enable_noop", "perhaps", good),
        ("set_noop_interval", "0.1", good),
        ("set_noop_interval", "0.01", invalid),
        ("set_noop_interval", "0", invalid),
        ("set_noop_interval", "inf", invalid),
        ("set_noop_interval", "soon", invalid),
        ("set_priority", "high", good),
        ("set_priority", "highest", invalid),
        ("backfill_order", "sequential", good),
        ("backfill_order", "backwards", invalid),
        (
            "enable_out_of_order_snapshots",
            "true_with_seqno_advanced",
            good,
        ),
        ("enable_out_of_order_snapshots", "false", invalid),
        ("include_deleted_user_xattrs", "true", invalid),
        ("v7_dcp_status_codes", "false", invalid),
        ("enable_stream_id", "false", invalid),
        ("change_streams", "true", unsupported),
        ("stream_buffer_size", "1", unsupported),
        ("connection_buffer_size", "-1", invalid),
        ("max_marker_version", "2.2", good),
        ("enable_ext_metadata", "true", invalid),
    ] {
        assert_eq!(rig().control(key, value), [status], "{key}={value}");
    }
}

#[test]
fn durable_writes_and_stream_ids_exclude_one_another() {
    for [first, second] in [
        ["enable_sync_writes", "enable_stream_id"],
        ["enable_stream_id", "enable_sync_writes"],
    ] {
        let mut rig = rig();
        assert_eq!(rig.control(first, "true"), [Status::SUCCESS]);
        assert_eq!(rig.control(second, "true"), [Status::NOT_SUPPORTED]);
    }
}

/// Guards the no-operations: one each interval, whatever else is sent, with increasing opaques.
#[test]
fn noop_is_sent_each_interval() {
    let mut rig = rig();
    assert_eq!(rig.control("set_noop_interval", "2"), [Status::SUCCESS]);
    let mut opaques = Vec::new();
    for second in 0..=7 {
        rig.producer
            .tick(second * SECOND, &rig.node)
            .expect("not that long");
        for message in rig.poll(usize::MAX) {
            match message {
                Message::Request(Request {
                    opaque,
                    command: Command::Noop,
                    ..
                }) => opaques.push((second, opaque)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(opaques, [(2, 10_000_001), (4, 10_000_002), (6, 10_000_003)]);
    assert_eq!(
        rig.producer.flow_control().unacknowledged_bytes(),
        0,
        "they are free"
    );
    assert_eq!(rig.control("enable_noop", "false"), [Status::SUCCESS]);
    rig.producer
        .tick(60 * SECOND, &rig.node)
        .expect("not that long");
    assert!(!rig.producer.has_more());
}

#[test]
fn idle_consumer_is_reported_after_six_minutes() {
    let mut rig = rig();
    rig.producer
        .tick(0, &rig.node)
        .expect("it counts from here");
    rig.producer
        .tick(359 * SECOND, &rig.node)
        .expect("not that long");
    let answer = Response::status(Opcode::DCP_NOOP, 10_000_001, Status::SUCCESS);
    rig.answer(&answer).expect("an answer");
    rig.producer
        .tick(400 * SECOND, &rig.node)
        .expect("somebody is there");
    assert!(matches!(
        rig.producer.tick(760 * SECOND, &rig.node),
        Err(ProducerError::Silent { .. })
    ));
}

/// Guards against continuing with a consumer that lost messages.
#[test]
fn refusal_closes_the_connection_unless_it_may_have_crossed() {
    let refusal = |opcode, status| rig().answer(&Response::status(opcode, 77, status));
    let (mutation, commit) = (Opcode::DCP_MUTATION, Opcode::DCP_COMMIT);
    for status in [
        Status::NOT_FOUND,
        Status::EXISTS,
        Status::NOT_MY_VBUCKET,
        Status::STREAM_NOT_FOUND,
        Status::OPAQUE_MISMATCH,
    ] {
        refusal(mutation, status).expect("it may have crossed");
    }
    for (opcode, status) in [
        (mutation, Status::RANGE),
        (mutation, Status::INVALID),
        (commit, Status::NOT_FOUND),
        (Opcode::DCP_SET_VBUCKET_STATE, Status::NOT_MY_VBUCKET),
    ] {
        assert_eq!(
            refusal(opcode, status),
            Err(ProducerError::Refused { opcode, status })
        );
    }
}

/// Guards fairness: no vBucket waits until another one has sent everything.
#[test]
fn thousand_streams_take_turns() {
    struct Many(Vec<VBucket>);
    impl Partitions for Many {
        fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
            self.0.get(usize::from(vb.0))
        }
        fn purge_seqno(&self, _vb: Vbid) -> Seqno {
            Seqno::ZERO
        }
        fn persisted_seqno(&self, _vb: Vbid) -> Seqno {
            Seqno::ZERO
        }
    }
    let vbucket = |number| {
        let state = VBucketState::new(State::Active, FailoverLog::new(UUID));
        let config = CheckpointConfig::persistent();
        VBucket::new(Vbid(number), &state, config)
    };
    let many = Many((0..1_024).map(vbucket).collect());
    for (number, vbucket) in many.0.iter().enumerate() {
        // The first has far more items than the others.
        for item in 0..if number == 0 { 2_000 } else { 1 } {
            let key = Key::new(format!("{item}").as_bytes());
            vbucket
                .write(Item::mutation(key, Bytes::from(vec![0; 100])), 1)
                .expect("active");
        }
    }
    let mut producer = Producer::new("many");
    let mut bytes = Vec::new();
    let open = Open {
        flags: OpenFlags::PRODUCER,
        name: Bytes::from_static(b"many"),
        options: Bytes::new(),
    };
    let noop = Control {
        key: Bytes::from_static(b"enable_noop"),
        value: Bytes::from_static(b"true"),
    };
    for command in [Command::Open(open), Command::Control(noop)] {
        Request::new(Vbid(0), 0, command)
            .encode(&mut bytes)
            .expect("sendable");
    }
    for number in 0..1_024 {
        let wanted = Command::StreamRequest(request(0, u64::MAX, (0, 0)));
        Request::new(Vbid(number), u32::from(number), wanted)
            .encode(&mut bytes)
            .expect("sendable");
    }
    producer.receive(&bytes, &many).expect("sound");
    let mut sent_while_others_waited = Seqno::ZERO;
    while (1..1_024).any(|number| producer.sent_seqno(Vbid(number)) != Some(Seqno(1))) {
        sent_while_others_waited = producer.sent_seqno(Vbid(0)).expect("open");
        producer.poll(&many, 1 << 16).expect("sound");
    }
    assert!(
        (Seqno(50)..Seqno(200)).contains(&sent_while_others_waited),
        "{sent_while_others_waited}: one turn"
    );
}

impl Rig {
    pub(super) fn answer(&mut self, response: &Response) -> Result<(), ProducerError> {
        let mut bytes = Vec::new();
        response.encode(&mut bytes).expect("sendable");
        self.producer.receive(&bytes, &self.node)
    }
}
