//! A node that runs out of memory.

use lowtide_checkpoint::{CursorOptions, MemoryState, VBucketError};

use super::engine::rig;
use super::*;

#[test]
fn write_is_refused_only_after_memory_was_recovered() {
    let quota = QuotaConfig::default().with_limit_bytes(64 << 10);
    let mut rig = rig(NodeConfig {
        quota: Some(quota),
        ..NodeConfig::default()
    });
    let manager = rig
        .node
        .partition(VB)
        .expect("there")
        .vbucket
        .manager()
        .clone();
    // A consumer that reads nothing: its cursor is dropped, so items on disk can leave memory.
    manager
        .register("slow", Seqno::ZERO, CursorOptions::new())
        .expect("a name");
    for key in 0..300 {
        rig.set(&key.to_string(), 1_000)
            .expect("memory is recovered");
        if key % 10 == 0 {
            rig.flush();
        }
    }
    assert!(manager.cursor("slow").is_none(), "it was dropped");
    // Items that are not on disk must stay.
    let refused = (0..300).find_map(|key| rig.set(&key.to_string(), 1_000).err());
    let is_memory = |error: &NodeError| {
        matches!(error, NodeError::VBucket(VBucketError::Checkpoint { source, .. })
            if matches!(source, lowtide_checkpoint::CheckpointError::NoMemory { .. }))
    };
    assert!(refused.as_ref().is_some_and(is_memory), "{refused:?}");
    assert_eq!(rig.node.quota.state(), MemoryState::Full);
    assert_eq!(
        manager.recover_memory(usize::MAX).freed_bytes,
        0,
        "there was nothing else"
    );
    rig.flush();
    rig.set("a", 1_000).expect("there is room again");
}

/// Guards N6.
#[test]
fn stream_request_is_refused_when_memory_is_used_up() {
    let quota = QuotaConfig::default().with_limit_bytes(64 << 10);
    let mut rig = rig(NodeConfig {
        quota: Some(quota),
        ..NodeConfig::default()
    });
    while rig.set("a", 1_000).is_ok() {
        rig.node
            .partition(VB)
            .expect("there")
            .vbucket
            .manager()
            .close();
    }
    let mut replica = node(State::Replica);
    for is_refused in [true, false] {
        rig.node.accept(1);
        let asked = replica.follow(0, &[VB]).expect("it has it");
        let mut stopped = Vec::new();
        let mut due: std::collections::VecDeque<_> = asked.into();
        while let Some(action) = due.pop_front() {
            due.extend(match action {
                Action::ToProducer(_, bytes) => rig.step(Event::FromConsumer { peer: 1, bytes }),
                Action::WakeSender(_) => rig.step(Event::SendDue { peer: 1 }),
                Action::ToConsumer(_, bytes) => replica
                    .step(Event::FromProducer { peer: 0, bytes }, 1)
                    .expect("sound"),
                Action::StreamStopped { event, .. } => {
                    stopped.push(event);
                    continue;
                }
                _ => continue,
            });
        }
        let refusal = crate::consumer::ConsumerEvent::StreamRefused {
            vb: VB,
            status: crate::wire::Status::OUT_OF_MEMORY,
        };
        assert_eq!(stopped, if is_refused { vec![refusal] } else { vec![] });
        if is_refused {
            // Items on disk need not stay in memory.
            rig.flush();
        }
    }
}
