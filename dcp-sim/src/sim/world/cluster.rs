//! The cluster from the outside: machines, connections, who leads, which copy is where.

mod connections;
mod leadership;
mod machines;
mod rebalance;
