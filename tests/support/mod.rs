//! Shared helpers of the tests. They panic where something is not as it must be.

pub mod cli;
pub mod conformance;
pub mod fixtures;
pub mod git;
pub mod history;
pub mod killing;
pub mod stores;
pub mod threads;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
