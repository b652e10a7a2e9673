//! Space: the budget of segments, a full device, and preallocation.

mod budget;
mod full;
mod preallocation;
