//! Power loss at every single I/O of a short life, with nothing, everything or any part of the
//! unsynced bytes left.
//!
//! What always holds: nothing acknowledged is lost, the store holds a prefix, and the node
//! continues from it.

use lowtide_persistence::disk::PowerLoss;

use super::rig::{EPILOGUE, Rig, SCRIPT};

/// State of the process's memory after the power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Only the disk lost its power: the process flushes its changes again.
    Stays,
    /// The process lost its memory too: it restarts from the store, and its changes come again.
    Goes,
}

/// Returns the number of I/Os of the script without failures, the creation of the store included.
fn ios() -> u64 {
    let mut rig = Rig::new();
    rig.open().expect("an empty disk");
    rig.run(&SCRIPT).expect("nothing fails");
    rig.disk.io_count()
}

fn lose_power((io, ios): (u64, u64), keep: PowerLoss, memory: Memory) {
    let when = format!("power lost at I/O {io}, {keep:?} kept, memory {memory:?}");
    let mut rig = Rig::new();
    rig.disk.power_off_at_io(io);
    let ended = rig.open().and_then(|()| rig.run(&SCRIPT));
    // The very last write activates a header whose commit was already acknowledged, so its failure
    // does not matter.
    let error = ended.err().map(|error| error.kind());
    assert!(
        error == Some("power-lost") || error.is_none() && io == ios,
        "{when}: {error:?}"
    );
    assert!(rig.disk.is_off());
    rig.engine = None;
    rig.disk.crash(keep);

    rig.open().expect("a store that lost its power opens");
    rig.check(&when);
    if memory == Memory::Goes {
        rig.forget_memory();
    }
    rig.run_in_memory(&SCRIPT);
    rig.run(&EPILOGUE).expect("all is well again");
    rig.check_end(&when);

    // Flushes after the recovery are as durable as those before it.
    rig.engine = None;
    rig.disk.crash(PowerLoss::DropUnsynced);
    rig.open().expect("opens again");
    rig.check_end(&format!("{when}, and again"));
}

fn lose_power_everywhere(keeps: impl Iterator<Item = PowerLoss> + Clone) {
    let ios = ios();
    assert!(ios > 30, "a script of {ios} I/Os shows little");
    for io in 1..=ios {
        for keep in keeps.clone() {
            for memory in [Memory::Stays, Memory::Goes] {
                lose_power((io, ios), keep, memory);
            }
        }
    }
}

/// Guards E6 and F1 when the device keeps only synced bytes.
#[test]
fn power_loss_that_keeps_nothing_unsynced_loses_nothing_acknowledged() {
    lose_power_everywhere([PowerLoss::DropUnsynced].into_iter());
}

/// Guards E2 when every written byte has reached the device, acknowledged or not.
#[test]
fn power_loss_that_keeps_everything_unsynced_leaves_a_prefix() {
    lose_power_everywhere([PowerLoss::KeepUnsynced].into_iter());
}

/// Guards E2 and E6 when any part of the unsynced bytes survives, in any order and torn.
#[test]
fn power_loss_that_keeps_any_part_leaves_a_prefix() {
    lose_power_everywhere((0..8).map(|seed| PowerLoss::Random { seed }));
}
