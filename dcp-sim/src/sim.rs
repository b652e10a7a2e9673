//! The simulator: a cluster of nodes in virtual time, from one seed, judged by an oracle.
//!
//! [`World`] takes a configuration and a source of writes, and returns a [`Report`] with a verdict
//! for every invariant. It is the host of the nodes' state machines: it owns time, randomness, the
//! network, the disks and the engine calls.
//!
//! # Invariants
//!
//! - W8. The same configuration and source give the same events in the same order, hence the same
//!   report.

mod config;
mod error;
mod foreign;
mod hardware;
mod judge;
mod limits;
mod oracle;
mod proof;
mod record;
mod rng;
mod shape;
mod world;

pub use config::{ClusterConfig, Topology};
pub use config::{FaultConfig, FaultKind, Profile};
pub use error::SimError;
pub use hardware::Clock;
pub use hardware::Network;
pub use hardware::{EngineKind, Storage, StoreConfig};
pub use oracle::{Contents, Document, Oracle};
pub use proof::Proof;
pub use record::InvariantVerdict;
pub use record::{ClientFigures, FaultFigures, Figures, NodeFigures, Report};
pub use record::{NodeSample, Sample, Span, Timeline};
pub use record::{Trace, TraceEvent};
pub use rng::SimRng;
pub use shape::{Dimension, Fixed, Setting, Shape};
pub use world::{Observer, RunProgress, Silent, World};
