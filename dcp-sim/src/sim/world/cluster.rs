//! The cluster from the outside: machines, connections, leadership, and placement of copies.

mod connections;
mod jobs;
mod leadership;
mod machines;
mod rebalance;
