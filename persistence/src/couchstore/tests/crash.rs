//! Power loss, failed I/O and torn writes: everything acknowledged is kept, and nothing else
//! appears.

mod failures;
mod power_loss;
mod rewrites;
mod script;
mod torn_commits;
