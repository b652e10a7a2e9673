//! Shared helpers of the tests. They panic if a check fails.

pub mod cli;
pub mod conformance;
pub mod fixtures;
pub mod git;
pub mod history;
pub mod killing;
pub mod soak;
pub mod stores;
pub mod threads;

/// The README, whose example runs as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
