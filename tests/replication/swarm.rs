//! Drawn clusters: unusual shapes run clean, failing ones become smaller, and the page names every
//! dimension.

use std::collections::BTreeSet;

use dcp_sim::fault::{self, Fault};
use dcp_sim::sim::{Dimension, FaultKind, Fixed, Setting, Shape, Silent, Storage, World};

const SIMULATION: &str = include_str!("../../docs/simulation.md");

fn fixed(settings: &[(Dimension, u64)]) -> Fixed {
    settings
        .iter()
        .map(|&(dimension, value)| Setting { dimension, value })
        .fold(Fixed::default(), Fixed::with_setting)
}

/// Returns the broken invariants of a shape's run; `None` if it is clean.
pub(crate) fn broken(seed: u64, fixed: &Fixed) -> Option<String> {
    let shape = Shape::draw(seed, fixed).expect("no contradiction");
    let source = shape.source(seed).expect("valid");
    let world = World::new(shape.cluster(seed), &Storage::Memory, source).expect("a cluster");
    match world.run(&mut Silent, None) {
        Ok(report) => {
            let broken = report.verdicts.iter().filter(|verdict| !verdict.holds());
            let told = broken.map(|verdict| format!("{}: {:?}", verdict.invariant, verdict.told));
            (!report.is_clean()).then(|| told.collect::<Vec<_>>().join("; "))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Parses the settings of a `--shape`.
pub(crate) fn shape(text: &str) -> Fixed {
    let settings = text
        .split(',')
        .map(|setting| setting.parse::<Setting>().expect(setting));
    settings.fold(Fixed::default(), Fixed::with_setting)
}

/// W10, W11. Found by seeds 861 and 1768: a copy was promoted with a snapshot from disk in its
/// memory, and marked each flushed part of it as whole.
#[test]
fn promoted_copy_marks_no_part_of_a_snapshot_as_whole() {
    for seed in [861, 1_768] {
        assert_eq!(broken(seed, &Fixed::default()), None, "seed {seed}");
    }
}

/// W10, W11, W15. Found by seed 1111: a copy was promoted in the middle of flushing a snapshot, and
/// went down. It came back as a replica that counted its part on disk as whole, and was promoted
/// again.
#[test]
fn copy_that_led_inside_a_snapshot_restarts_inside_it() {
    let slow = "engine=couchstore,nodes=3,replicas=2,vbuckets=2,ops=600,keys=60,value-bytes=100,duration=2s,clients=0,\
                flush-items=3,slow-disk=30ms,fail-over=60ms,crash=200ms,memory=80ms,move=80ms,checkpoint-bytes=2K";
    assert_eq!(broken(1_111, &shape(slow)), None);
}

/// W10, W11, W19, W20. Found by seed 1047: a copy inside a snapshot was promoted while a change of
/// its state was still to be flushed. The state was flushed by itself, and the part of the snapshot
/// on disk was taken for whole.
#[test]
fn state_queued_before_a_promotion_marks_no_part_as_whole() {
    let slow = "nodes=3,replicas=2,vbuckets=3,engine=couchstore,ops=500,keys=30,value-bytes=300,duration=3s,clients=2,\
                flush-items=4,power-loss=30ms,fail-over=100ms";
    assert_eq!(broken(1_047, &shape(slow)), None);
}

/// Found by seed 1034: the copy that began a branch had purged a tombstone, and the judge took the
/// deletion for lost.
#[test]
fn branch_begun_after_a_purge_lacks_the_deleted_keys() {
    let purging = "nodes=3,replicas=2,vbuckets=2,engine=couchstore,ops=600,keys=40,value-bytes=60,deletes-permille=500,\
                   duration=3s,clients=3,compaction=20ms,slow-consumer=60ms,partition=80ms,fail-over=60ms,hidden-items=1,\
                   standstill=100ms,slice-items=2";
    assert_eq!(broken(1_034, &shape(purging)), None);
}

/// W19. Found by seed 12927: a replica promised its client the end of an extension that its active
/// had lost.
#[test]
fn extension_without_items_is_promised_to_no_client() {
    assert_eq!(broken(12_927, &Fixed::default()), None);
}

/// W18. Found by seed 2734: the power failed in the middle of a read, and an error was returned to
/// the reader.
#[test]
fn read_during_a_power_loss_gets_no_answer() {
    assert_eq!(broken(2_734, &Fixed::default()), None);
}

/// Found by seed 77: a copy had led before its machine went down, and followed no copy afterwards.
/// It was asked to continue its active's branch, which it refuses.
#[test]
fn copy_that_led_before_a_crash_follows_before_it_takes_over() {
    let moving = "nodes=3,replicas=1,vbuckets=5,ops=600,keys=60,value-bytes=100,duration=20s,clients=0,engine=couchstore,\
                  move=50ms,disk-error=50ms,disk-full=off,power-loss=off,fail-over=80ms,compaction=50ms,partition=100ms,\
                  crash=off,delay=off,disconnect=off,slow-consumer=off,stalled-acks=off,slow-disk=off,memory=off";
    assert_eq!(broken(77, &shape(moving)), None);
}

/// W16. Found by seed 85: memory recovery freed the excess in bytes of items, and kept the chunks
/// that held other items. A second recovery freed enough.
#[test]
fn memory_recovery_ends_with_enough_or_nothing_left() {
    let tight = "nodes=2,replicas=1,vbuckets=2,ops=600,keys=200,value-bytes=100,duration=1s,clients=0,memory=20ms,\
                 slow-consumer=30ms,checkpoint-bytes=1K,quota-bytes=300K";
    assert_eq!(broken(85, &shape(tight)), None);
}

/// W23. Found by seeds 3282 and 31300: a compaction hid tombstones before its end, and the node
/// learned of it at the end.
#[test]
fn purge_is_reported_as_soon_as_it_hides_something() {
    for seed in [3_282, 31_300] {
        assert_eq!(broken(seed, &Fixed::default()), None, "seed {seed}");
    }
}

/// W10. Found by seed 202: a write had waited for its node's store, and was accepted after another
/// copy had begun a branch.
#[test]
fn write_that_waited_is_lost_with_its_branch() {
    assert_eq!(broken(202, &Fixed::default()), None);
}

/// Guards clusters of one node and vBuckets of one copy: each kind of fault alone, and all
/// together.
#[test]
fn smallest_clusters_survive_every_kind_of_fault() {
    let all: BTreeSet<_> = FaultKind::ALL.into_iter().collect();
    let one = FaultKind::ALL
        .into_iter()
        .map(|kind| BTreeSet::from([kind]));
    for (number, kinds) in one.chain([all]).enumerate() {
        for (nodes, engine) in [(1, 0), (1, 1), (3, 0), (3, 1)] {
            let settings = [
                (Dimension::NODES, nodes),
                (Dimension::REPLICAS, 0),
                (Dimension::VBUCKETS, 3),
                (Dimension::ENGINE, engine),
                (Dimension::OPS, 150),
                (Dimension::DURATION, 1_000_000),
            ];
            let fixed = fixed(&settings).with_faults(kinds.clone());
            let seed = number as u64;
            assert_eq!(
                broken(seed, &fixed),
                None,
                "seed {seed}, {nodes} nodes, engine {engine}, {kinds:?}"
            );
        }
    }
}

/// W19. Found by seed 1015: memory recovery closed a replica's checkpoint that had its first
/// snapshot whole. Its clients were refused for ever.
#[test]
fn replica_with_its_first_snapshot_whole_serves_its_clients() {
    assert_eq!(broken(1015, &Fixed::default()), None);
}

/// W19. Found by seed 1324: a client without Collections was promised a snapshot end at an item
/// that it does not see, of half a snapshot on a replica's disk. It stayed inside the snapshot for
/// ever.
#[test]
fn client_without_collections_is_promised_only_visible_ends() {
    assert_eq!(broken(1324, &Fixed::default()), None);
}

/// Guards shrinking: from a seed that a known bug breaks, steps lead to a smaller shape that it
/// still breaks.
#[test]
fn shape_broken_by_a_known_bug_shrinks_and_stays_broken() {
    let settings = [
        (Dimension::NODES, 3),
        (Dimension::REPLICAS, 2),
        (Dimension::VBUCKETS, 8),
        (Dimension::OPS, 400),
        (Dimension::DURATION, 1_000_000),
        (Dimension::CLIENTS, 0),
    ];
    let mut fixed = fixed(&settings);
    fixed.faults = Some([FaultKind::Disconnect, FaultKind::Crash, FaultKind::Delay].into());
    fault::switch(Some(Fault::MarkerEndsEarly));
    let seed = (1..20)
        .find(|&seed| broken(seed, &fixed).is_some())
        .expect("the bug is found");
    let first = Shape::draw(seed, &fixed).expect("no contradiction");
    let mut shape = first.clone();
    fixed.faults = None;
    fixed.settings = first
        .settings()
        .map(|setting| (setting.dimension, setting.value))
        .collect();
    let mut tries = 0;
    'smaller: while tries < 60 {
        for step in shape.smaller() {
            tries += 1;
            let mut next = fixed.clone();
            next.settings.extend(
                step.into_iter()
                    .map(|setting| (setting.dimension, setting.value)),
            );
            if broken(seed, &next).is_some() {
                (shape, fixed) = (Shape::draw(seed, &next).expect("a step"), next);
                continue 'smaller;
            }
        }
        break;
    }
    assert!(broken(seed, &fixed).is_some(), "{}", shape.describe());
    fault::switch(None);
    assert_eq!(broken(seed, &fixed), None, "without the bug it is clean");
    // This bug needs a replica and a write, and none of the faults.
    assert_eq!(shape.faults().count(), 0, "{}", shape.describe());
    for (dimension, _) in settings {
        assert!(
            shape.get(dimension) <= first.get(dimension),
            "{}",
            dimension.name()
        );
    }
    assert!(
        shape.get(Dimension::OPS) < 100 && shape.get(Dimension::VBUCKETS) == 1,
        "{}",
        shape.describe()
    );
}

/// Guards the page: it has everything that `--shape` accepts.
#[test]
fn every_dimension_is_documented() {
    let names = Dimension::all().map(Dimension::name);
    let missing: Vec<_> = names
        .filter(|name| !SIMULATION.contains(&format!("| `{name}` |")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
