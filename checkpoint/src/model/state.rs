//! The role of a vBucket on its node.
//!
//! It has a file of its own because items carry it: a change of state is an item in the queue.

use std::fmt;

/// A vBucket's role on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Takes writes and assigns seqnos.
    Active,
    /// Follows an active.
    Replica,
    /// About to become active.
    Pending,
    /// About to be removed: serves no reader.
    Dead,
}

impl State {
    /// Returns the protocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replica => "replica",
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }

    /// Returns the state with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Replica, Self::Pending, Self::Dead]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
