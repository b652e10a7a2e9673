//! Random actions on a store, as strategies.

use lowtide_checkpoint::Item;
use proptest::prelude::*;

use crate::logstor::tests::support::{delete, noise, numbered, set};

#[derive(Clone, Debug)]
pub(super) enum Action {
    Commit {
        vb: bool,
        keys: Keys,
    },
    Pin {
        vb: bool,
    },
    Release {
        which: usize,
    },
    RollBack {
        vb: bool,
        which: usize,
    },
    Purge {
        vb: bool,
        share: u8,
    },
    Separate,
    Compact {
        vb: bool,
        steps: usize,
    },
    Upkeep,
    Image {
        steps: usize,
    },
    Recreate {
        vb: bool,
    },
    Crash {
        seed: u64,
    },
    Close,
    /// A crash, and actions before the index is loaded.
    Unloaded {
        seed: u64,
        steps: Vec<UnloadedAction>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum UnloadedAction {
    Get { vb: bool, key: u8 },
    Commit { vb: bool, keys: Keys },
    Load { vb: bool },
    Crash { seed: u64 },
}

/// The key, whether it is deleted, and the length of the value.
pub(super) type Keys = Vec<(u8, bool, u16)>;

pub(super) fn keys() -> impl Strategy<Value = Keys> {
    let bytes = prop_oneof![8 => 0_u16..300, 4 => 2000_u16..9000, 1 => Just(u16::MAX)];
    prop::collection::vec((0_u8..24, any::<bool>(), bytes), 0..8)
}

pub(super) fn unloaded_actions() -> impl Strategy<Value = Vec<UnloadedAction>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0_u8..24).prop_map(|(vb, key)| UnloadedAction::Get { vb, key }),
        4 => (any::<bool>(), keys()).prop_map(|(vb, keys)| UnloadedAction::Commit { vb, keys }),
        1 => any::<bool>().prop_map(|vb| UnloadedAction::Load { vb }),
        1 => any::<u64>().prop_map(|seed| UnloadedAction::Crash { seed }),
    ];
    prop::collection::vec(step, 0..12)
}

pub(super) fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        20 => (any::<bool>(), keys()).prop_map(|(vb, keys)| Action::Commit { vb, keys }),
        3 => any::<bool>().prop_map(|vb| Action::Pin { vb }),
        2 => (0_usize..8).prop_map(|which| Action::Release { which }),
        2 => (any::<bool>(), 0_usize..8).prop_map(|(vb, which)| Action::RollBack { vb, which }),
        3 => (any::<bool>(), any::<u8>()).prop_map(|(vb, share)| Action::Purge { vb, share }),
        2 => Just(Action::Separate),
        4 => (any::<bool>(), 0_usize..12).prop_map(|(vb, steps)| Action::Compact { vb, steps }),
        1 => Just(Action::Upkeep),
        4 => (0_usize..6).prop_map(|steps| Action::Image { steps }),
        1 => any::<bool>().prop_map(|vb| Action::Recreate { vb }),
        2 => any::<u64>().prop_map(|seed| Action::Crash { seed }),
        1 => Just(Action::Close),
        3 => (any::<u64>(), unloaded_actions()).prop_map(|(seed, steps)| Action::Unloaded { seed, steps }),
    ];
    prop::collection::vec(action, 1..60)
}

pub(super) fn batch(high: u64, keys: &Keys) -> Vec<Item> {
    let item = |(n, (key, is_deletion, len)): (u64, &(u8, bool, u16))| {
        let seqno = high + 1 + n;
        // Some values are larger than a segment.
        let len = if *len == u16::MAX {
            70_000
        } else {
            usize::from(*len)
        };
        numbered(
            *key,
            if *is_deletion {
                delete(seqno, "")
            } else {
                set(seqno, "", &noise(seqno, len))
            },
        )
    };
    (0..).zip(keys).map(item).collect()
}
