//! What each kind of fault does to the world, and how it ends.
//!
//! What always holds: a fault that lasts has its end scheduled when it strikes, within half a second; after the time for
//! faults none strikes.

mod machines;
mod network;
mod placement;
mod strike;
