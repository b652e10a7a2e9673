//! Configuration of a simulated cluster: its layout, and the faults in it.

mod cluster;
mod faults;

pub use cluster::{ClusterConfig, Topology};
pub(super) use faults::FaultPlan;
pub use faults::{FaultConfig, FaultKind, Profile};
