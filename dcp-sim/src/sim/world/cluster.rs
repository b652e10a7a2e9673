//! The cluster from the outside: machines, connections, who leads, which copy is where.

mod connections;
mod leadership;
mod machines;
pub(super) mod rebalance;

pub(super) use rebalance::Move;
