//! A compaction that failed halfway, and a power loss while its store is opened again.
//!
//! Opening finds the old file and the new one, whose name may not be durable.

use crate::couchstore::tests::support::open_with;
use crate::disk::{Fault, FaultyDisk, MemoryDisk};

use super::names;
use super::power::{CONFIG, check_after, keeps, rehearse, run};

/// Guards E15.
#[test]
fn power_loss_while_opening_leaves_one_of_two_revisions_whole() {
    let mut cases = 0;
    for nth in 1..=rehearse(CONFIG) {
        for (io, keep) in (1..=6).flat_map(|io| keeps(8).map(move |keep| (io, keep))) {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, Fault::Eio);
            let mut expected = None;
            // The job ignores some failures. Then nothing is left halfway.
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
