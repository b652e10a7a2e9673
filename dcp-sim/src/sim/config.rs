//! How a cluster is set up: its layout, and what goes wrong in it.

mod cluster;
mod faults;

pub use cluster::{ClusterConfig, Topology};
pub(super) use faults::FaultPlan;
pub use faults::{FaultConfig, FaultKind, Profile};
