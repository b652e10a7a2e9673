//! The world of one run: nodes, their stores, the network and the client, driven event by event.
//!
//! What always holds: an event is carried out whole before the next; whatever an event causes is scheduled at or after
//! it; when no event is left, nothing will ever happen again, and the cluster is judged.

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
pub use view::{Observer, Progress, Silent};
