//! The shape of a cluster, drawn from its seed: nodes, stores, workload, limits and faults.
//!
//! [`Shape::draw`] is the only source of shapes.
//!
//! # Invariants
//!
//! - Each dimension draws from a stream of its own, and the cost rule is applied to the drawn
//!   values. So fixing a dimension changes no other, except one that would contradict it:
//!   `replicas` stay below `nodes`, `quota-bytes` suffice for the vBuckets, the marks are in order,
//!   and `engine` and `workload` give every fixed dimension a meaning. A fixed value never changes.
//! - Every value is within its dimension's bounds, and a drawn one within the bounds of its law.
//! - *Cost rule.* A drawn shape costs at most [`cost::COST_MAX`] units, and few cost that much:
//!   above it, its writes, strikes and reads are reduced. A shape with fixed dimensions may cost
//!   more.
//! - Every kind of fault may be absent (swarm testing): kinds that a fixed mix never brings
//!   together meet in the absence of others.

mod build;
mod cost;
mod dimension;
mod draw;
mod law;
mod meaning;
mod setting;
mod smaller;
mod words;

pub use dimension::Dimension;
pub use draw::{Fixed, Shape};
pub use setting::Setting;

#[cfg(test)]
mod tests;
