//! The world of one run: nodes, their stores, the network and the clients, driven event by event.
//!
//! # Invariants
//!
//! - An event is processed completely before the next one.
//! - An event schedules others at its own time or later.
//! - When no event is left the run is over, and the cluster is judged.

mod chaos;
mod checks;
mod client;
mod cluster;
mod due;
mod event_loop;
mod fault_injection;
mod foreign;
mod guests;
mod host;
mod phases;
mod reads;
mod state;
mod view;

pub(super) use host::Host;
pub use state::World;
pub use view::{Observer, RunProgress, Silent};
