//! A compaction that failed half way, and a power loss while its store is opened again.
//!
//! Opening finds the old file and the new one, whose name nobody may have made durable.

use crate::couchstore::tests::support::open_with;
use crate::disk::{Fault, FaultyDisk, MemoryDisk};

use super::names;
use super::power::{CONFIG, check_after, keeps, rehearse, run};

/// Guards E15.
#[test]
fn power_lost_while_opening_leaves_one_of_two_revisions_whole() {
    let mut cases = 0;
    for nth in 1..=rehearse(CONFIG) {
        for (io, keep) in (1..=6).flat_map(|io| keeps(8).map(move |keep| (io, keep))) {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, Fault::Eio);
            let mut expected = None;
            // Some failures are passed over: then nothing is left half done.
            let _ = run(&disk, CONFIG, &mut expected);
            if expected.is_none() || names(&disk).len() < 2 {
                break;
            }
            disk.power_off_at_io(io);
            if open_with(&disk, CONFIG).is_ok() {
                disk.clear_faults();
                continue;
            }
            disk.crash(keep);
            check_after(
                &disk,
                CONFIG,
                expected.as_ref(),
                &format!("I/O {nth} failed, power off at {io}, {keep:?}"),
            );
            cases += 1;
        }
    }
    assert!(cases >= 50, "{cases}");
}
