//! Events of a follower as bytes and back, and bytes that are none.

mod drawn;
mod properties;
mod refusals;
