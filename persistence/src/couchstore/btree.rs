//! The copy-on-write trees of a file: looking up, walking, changing.
//!
//! # Invariants
//!
//! - A damaged tree ends a descent or a walk with an error, never in a loop.
//! - A change leaves the old tree as it was: changed nodes are appended with everything above them.
//! - Nodes are cut as the vendor's library cuts them, so that files of both have trees of the same
//!   shape.

mod action;
mod collector;
mod depth;
mod lookup;
mod modify;
mod node_builder;
mod node_shape;
pub(super) mod node_writer;
pub(super) mod split_policy;
mod walk;

pub use self::node_shape::NodeShape;

pub(super) use self::action::Action;
pub(super) use self::depth::{DEPTH_MAX, too_deep};
pub(super) use self::lookup::lookup;
pub(super) use self::modify::{OnReplaced, modify};
pub(super) use self::node_shape::shape;
pub(super) use self::walk::Walk;
