//! The simulator: a cluster of nodes in virtual time, from one seed, judged by an oracle.
//!
//! In go a configuration and a source of writes; out comes a [`Report`] with a verdict for every invariant. It is the
//! host of the nodes' state machines: it owns time, chance, the network, the disks and the engine calls. What always
//! holds (W8): the same configuration and source give the same events in the same order, hence the same report.

mod clock;
mod cluster;
mod disk_time;
mod error;
mod faults;
mod foreign;
mod history;
mod host;
mod invariants;
mod limits;
mod links;
mod network;
mod oracle;
mod report;
mod rng;
mod shape;
mod skew;
mod storage;
mod timeline;
mod trace;
mod verify;
mod world;

pub use clock::Clock;
pub use cluster::{ClusterConfig, Topology};
pub use error::SimError;
pub use faults::{FaultConfig, FaultKind, Profile};
pub use invariants::Verdict;
pub use network::Network;
pub use oracle::Oracle;
pub use report::{ClientFigures, FaultFigures, Figures, NodeFigures, Report};
pub use rng::SimRng;
pub use shape::{Dimension, Fixed, Setting, Shape};
pub use storage::{EngineKind, Storage, StoreConfig};
pub use timeline::{NodeSample, Sample, Span, Timeline};
pub use trace::{Trace, TraceEvent};
pub use verify::Proof;
pub use world::{Observer, Progress, Silent, World};
