//! The roles that follow from a vBucket's state.
//!
//! A manager knows two roles only. Four states map to them in one place.

use crate::manager::Role;
use crate::model::State;

/// Returns whether a vBucket in that state takes snapshots.
pub(super) fn is_follower(state: State) -> bool {
    matches!(state, State::Replica | State::Pending)
}

/// Returns the role of the manager of a vBucket in that state.
pub(super) fn role(state: State) -> Role {
    if state == State::Active {
        Role::Active
    } else {
        Role::Replica
    }
}
