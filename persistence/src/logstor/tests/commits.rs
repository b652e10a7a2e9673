//! Commits: groups of callers, numbers at their last value, and threads.

mod groups;
mod last_numbers;
mod threads;
mod violations;
