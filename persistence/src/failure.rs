//! The state that a failure leaves: a store that takes no more writes, and damage of one vBucket that
//! every operation on it reports again.

mod damage;
mod poison;

pub(crate) use damage::Damage;
pub(crate) use poison::Poison;
