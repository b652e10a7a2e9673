//! Snapshot progress of a replica after a restart.

use lowtide_checkpoint::Seqno;

use super::rig::{REPLICA, Rig, Step};

/// Guards that a replica which persisted half a snapshot says so in its stream request: its active
/// decides by that whether it must roll back.
#[test]
fn restarted_replica_reports_its_snapshot_as_half() {
    let mut rig = Rig::new();
    rig.open().expect("an empty disk");
    rig.run(&[Step::Announce(4), Step::Receive(3), Step::Flush])
        .expect("nothing fails");
    let before = rig.resume_point(REPLICA);
    assert_eq!((before.seqno, before.snapshot_end), (Seqno(3), Seqno(4)));
    rig.open().expect("reopened");
    rig.forget_memory();
    let after = rig.resume_point(REPLICA);
    assert_eq!(
        (after.uuid, after.seqno, after.snapshot_end),
        (before.uuid, before.seqno, before.snapshot_end)
    );
    assert!(after.snapshot_start <= before.snapshot_start, "{after:?}");
}
