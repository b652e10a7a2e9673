//! Hardware of the simulated nodes: time, clocks, disks and network.

mod clock;
pub(super) mod disk_time;
mod links;
mod network;
mod skew;
mod storage;

pub use clock::Clock;
pub(super) use links::{Ends, LinkId, Links};
pub use network::Network;
pub(super) use skew::SkewedClocks;
pub(super) use storage::NodeStorage;
pub use storage::{EngineKind, Storage, StoreConfig};
