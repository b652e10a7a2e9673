//! Streams that read from disk: the hand-over to memory, dropped cursors, and the schedule of
//! scans.

use lowtide_checkpoint::internal::as_in_release;

use super::*;

/// A rig with its first three items on disk only, and the fourth in memory only.
pub(super) fn with_a_past() -> Rig {
    let mut rig = rig();
    for key in ["a", "b", "c"] {
        rig.set(key);
    }
    rig.node.flush();
    rig.set("d");
    rig
}

pub(super) fn open(rig: &mut Rig, wanted: StreamRequest) {
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(wanted)),
        [Status::SUCCESS]
    );
}

pub(super) fn live(start: u64) -> StreamRequest {
    request(start, u64::MAX, (start, start))
}

/// Guards S9: items that left memory come from disk, the others follow from memory, each once.
#[test]
fn memory_continues_after_the_end_of_the_disk() {
    let mut rig = with_a_past();
    open(&mut rig, live(0));
    let expected = [
        "disk marker 0-3",
        "mutation @1",
        "mutation @2",
        "mutation @3",
        "marker 4-4",
        "mutation @4",
    ];
    assert_eq!(rig.sent(), expected);
    rig.set("e");
    assert_eq!(rig.sent(), ["marker 5-5 on", "mutation @5"]);
}

/// Guards S9 when items are written, flushed and expelled before and after the snapshot is pinned.
#[test]
fn backfill_with_changes_between_steps_has_no_gap_or_repeat() {
    let mut rig = with_a_past();
    open(&mut rig, live(1));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    rig.set("a");
    rig.node.flush();
    rig.set("e");
    let outcome = step.run(&rig.node.engine);
    rig.set("f");
    rig.node.flush();
    rig.producer
        .backfilled(outcome, &rig.node)
        .expect("the connection stays");
    rig.node.flush();
    let expected = [
        "disk marker 1-5",
        "mutation @2",
        "mutation @3",
        "mutation @4",
        "mutation @5",
        "marker 6-7",
        "mutation @6",
        "mutation @7",
    ];
    assert_eq!(rig.sent(), expected);
}

/// Guards S10: the client sees only a marker from disk.
#[test]
fn stream_with_a_dropped_cursor_continues_from_disk() {
    let mut rig = rig();
    rig.set("a");
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-1", "mutation @1"]);
    for key in ["b", "c"] {
        rig.set(key);
        rig.node.flush();
    }
    let recovered = rig.node.vbucket.manager().recover_memory(usize::MAX);
    assert_eq!(recovered.cursors_dropped.len(), 1);
    rig.set("d");
    assert_eq!(
        rig.sent(),
        [
            "disk marker 2-3",
            "mutation @2",
            "mutation @3",
            "marker 4-4",
            "mutation @4"
        ]
    );
    assert_eq!(rig.cursors(), 1);
}

/// Guards S10 when the cursor is dropped during a disk scan: another round follows.
#[test]
fn cursor_dropped_during_a_backfill_causes_another_backfill() {
    let mut rig = with_a_past();
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    let outcome = step.run(&rig.node.engine);
    rig.node.flush();
    rig.set("e");
    rig.node.flush();
    assert_eq!(
        rig.node
            .vbucket
            .manager()
            .recover_memory(usize::MAX)
            .cursors_dropped
            .len(),
        1
    );
    rig.producer
        .backfilled(outcome, &rig.node)
        .expect("the connection stays");
    let expected = [
        "disk marker 0-3",
        "mutation @1",
        "mutation @2",
        "mutation @3",
        "disk marker 4-5",
        "mutation @4",
        "mutation @5",
    ];
    assert_eq!(rig.sent(), expected);
}

#[test]
fn cursors_of_a_connection_between_nodes_are_droppable_only_on_request() {
    for (says, dropped) in [(false, 0), (true, 1)] {
        let mut rig = rig_of(State::Active, "replication:a->b", OpenFlags::PRODUCER);
        if says {
            assert_eq!(
                rig.control("supports_cursor_dropping_vulcan", "true"),
                [Status::SUCCESS]
            );
        }
        open(&mut rig, live(0));
        rig.set("a");
        rig.node.flush();
        assert_eq!(
            rig.node
                .vbucket
                .manager()
                .recover_memory(usize::MAX)
                .cursors_dropped
                .len(),
            dropped
        );
    }
}

/// Guards S11: the next slice is read after the previous one was sent, and the number of open scans
/// is limited.
#[test]
fn slow_client_holds_one_slice() {
    let mut rig = rig();
    for number in 0..2_500 {
        rig.set(&format!("{number}"));
    }
    rig.node.flush();
    assert_eq!(
        rig.control("connection_buffer_size", "100"),
        [Status::SUCCESS]
    );
    open(&mut rig, live(0));
    let mut steps = 0;
    let mut items = 0;
    while items < 2_500 {
        items += rig
            .poll(usize::MAX)
            .iter()
            .filter(|message| in_short(message).starts_with("mutation"))
            .count();
        for step in rig.producer.take_backfills() {
            steps += 1;
            let read = items;
            assert!(
                steps == 1 || read >= (steps - 2) * 1_000,
                "slice {steps} was asked for after {read} items"
            );
            let outcome = step.run(&rig.node.engine);
            rig.producer
                .backfilled(outcome, &rig.node)
                .expect("the connection stays");
        }
        let bytes =
            u32::try_from(rig.producer.flow_control().unacknowledged_bytes()).expect("small");
        rig.tell(Vbid(0), Command::BufferAck(bytes)).expect("sound");
    }
    assert_eq!(steps, 4, "the pin and three slices");
}

#[test]
fn backfills_start_in_the_order_of_their_requests() {
    use crate::producer::backfill::Backfills;
    for running_max in [1, 16] {
        let mut backfills = Backfills::default();
        let key = |number| StreamKey {
            vb: Vbid(number),
            id: None,
        };
        for number in 0..40 {
            backfills.request_scan(key(number), Seqno::ZERO, running_max);
        }
        let mut opened: Vec<_> = backfills
            .take_steps()
            .iter()
            .map(BackfillStep::vb)
            .collect();
        assert_eq!(opened.len(), running_max);
        for number in 0..40 {
            backfills.release(key(number), running_max);
            let steps = backfills.take_steps();
            assert!(steps.len() <= 1);
            opened.extend(steps.iter().map(BackfillStep::vb));
        }
        assert_eq!(
            opened,
            (0..40).map(Vbid).collect::<Vec<_>>(),
            "who asked first comes first"
        );
    }
}

#[test]
fn initial_backfill_omits_deletions_on_request() {
    let flags = OpenFlags::PRODUCER.with(OpenFlags::SKIP_DELETES_IN_INITIAL_BACKFILL);
    let mut rig = rig_of(State::Active, "consumer", flags);
    rig.set("a");
    rig.node
        .vbucket
        .write(Item::deletion(Key::new(b"b")), 1)
        .expect("active");
    rig.node.flush();
    open(&mut rig, live(0));
    assert_eq!(
        rig.sent(),
        ["disk marker 0-2", "mutation @1", "advanced @2"]
    );
    rig.tell(VB, Command::CloseStream).expect("sound");
    rig.sent();
    open(&mut rig, live(1));
    assert_eq!(
        rig.sent(),
        ["disk marker 1-2", "deletion @2"],
        "it is not the first any more"
    );
}

/// Guards a backfill whose stream is closed, or closed and opened again, during a step.
#[test]
fn outcome_for_a_closed_stream_is_dropped() {
    let mut rig = with_a_past();
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    assert_eq!(rig.ask(VB, Command::CloseStream), [Status::SUCCESS]);
    open(&mut rig, live(0));
    let outcome = step.run(&rig.node.engine);
    assert!(
        !rig.producer
            .backfilled(outcome, &rig.node)
            .expect("the connection stays")
    );
    assert_eq!(rig.sent().len(), 6);
}

/// Guards S8: new items in memory do not wake a stream that waits for the disk; the disk's outcome
/// does.
#[test]
fn stream_that_waits_for_the_disk_is_woken_by_the_disk() {
    let mut rig = with_a_past();
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    assert!(!rig.producer.notify(VB) && !rig.producer.has_more());
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    let outcome = step.run(&rig.node.engine);
    assert!(
        rig.producer
            .backfilled(outcome, &rig.node)
            .expect("the connection stays")
    );
    assert!(rig.producer.has_more());
}

/// Guards S11: the limit of the host holds after the client opened the connection, too.
#[test]
fn limit_of_scans_holds_after_the_connection_is_opened() {
    let mut rig = Rig {
        node: Home::new(State::Active, ReadLimit::NONE),
        producer: Producer::new("test").with_limits(ProducerLimits::new().with_scans(1)),
    };
    let open = Open {
        flags: OpenFlags::PRODUCER,
        name: Bytes::from_static(b"consumer"),
        options: Bytes::new(),
    };
    assert_eq!(rig.ask(Vbid(0), Command::Open(open)), [Status::SUCCESS]);
    for option in ["enable_noop", "enable_stream_id"] {
        assert_eq!(rig.control(option, "true"), [Status::SUCCESS]);
    }
    rig.set("a");
    rig.node.flush();
    for filter in ["{\"sid\":1}", "{\"sid\":2}"] {
        let wanted = StreamRequest {
            filter: Bytes::from_static(filter.as_bytes()),
            ..live(0)
        };
        assert_eq!(
            rig.ask(VB, Command::StreamRequest(wanted)),
            [Status::SUCCESS]
        );
    }
    rig.poll(usize::MAX);
    assert_eq!(
        rig.producer.take_backfills().len(),
        1,
        "the other one waits"
    );
}

/// Stops a stream between two slices of its scan, the only one that may be open.
fn between_two_slices() -> Rig {
    let mut rig = rig();
    rig.producer.limits.scans = 1;
    for number in 0..2_500 {
        rig.set(&format!("{number}"));
    }
    rig.node.flush();
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    let outcome = step.run(&rig.node.engine);
    rig.producer
        .backfilled(outcome, &rig.node)
        .expect("the connection stays");
    rig
}

/// Guards S13: a stream that ends because the host removed its vBucket releases its scan.
#[test]
fn vbucket_removed_without_notice_releases_its_scan() {
    let mut rig = between_two_slices();
    rig.node.is_gone = true;
    let sent: Vec<_> = rig.poll(usize::MAX).iter().map(in_short).collect();
    assert_eq!(sent, ["end state-changed"]);
    rig.node.is_gone = false;
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    assert_eq!(rig.producer.take_backfills().len(), 1, "it need not wait");
}

/// Loses a stream whose scan is open, and hands it the outcome of a step.
fn outcome_of_a_lost_stream() -> Result<bool, ProducerError> {
    let mut rig = with_a_past();
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    rig.producer.streams.clear();
    let outcome = step.run(&rig.node.engine);
    rig.producer.backfilled(outcome, &rig.node)
}

/// S13.
#[test]
#[should_panic(expected = "invariant S13 is violated: a stream that ended holds no scan")]
fn lost_stream_panics_in_checked_builds() {
    let _unreachable = outcome_of_a_lost_stream();
}

/// S13.
#[test]
fn lost_stream_closes_the_connection_in_release_builds() {
    let error = as_in_release(outcome_of_a_lost_stream).expect_err("it is a bug");
    assert!(
        matches!(
            error,
            ProducerError::Internal {
                invariant: "S13",
                ..
            }
        ),
        "{error:?}"
    );
}
