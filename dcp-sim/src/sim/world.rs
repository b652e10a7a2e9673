//! The world of one run: nodes, their stores, the network and the client, driven event by event.
//!
//! What always holds: an event is carried out whole before the next; whatever an event causes is scheduled at or after
//! it; when no event is left, nothing will ever happen again, and the cluster is judged.

mod chaos;
mod client;
mod cluster;
mod fault_injection;
mod foreign;
mod host;
mod reads;
mod state;
mod view;

pub use client::{Observer, Progress, Silent};
pub(super) use host::Host;
pub use state::World;
