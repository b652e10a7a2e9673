//! The shape of a cluster that is drawn from its seed: nodes, stores, workload, limits, and which faults there are.
//!
//! [`Shape::draw`] is the only place where shapes come from. Its invariants:
//!
//! - Each dimension draws from a stream of the seed of its own, and the cost rule is applied to what was drawn. So fixing a
//!   dimension ([`Shape::draw`]'s settings) moves no other, except one that would contradict it: `replicas` stay below
//!   `nodes`, `quota-bytes` are enough for the vBuckets, the marks are in order, and `engine` and `workload` are such that
//!   every dimension that was fixed means something. What was fixed never yields.
//! - Every value is within its dimension's bounds, and those that were drawn are within the bounds of its law.
//! - *Cost rule.* A drawn shape costs at most [`cost::COST_MAX`] units, and few cost as much: where one costs more, its
//!   writes, strikes and reads become fewer. Shapes with fixed dimensions may cost more: their user asked for it.
//! - Every kind of fault may be absent (swarm testing: kinds that are never seen together by a fixed mix meet when others
//!   are away).

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
