//! Lowtide's replication simulator: a whole cluster of vBuckets, flushers, disks and streams, from
//! one seed.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        // They panic if nothing can be written: results go to `cli::output`.
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod consumer;
#[cfg(feature = "faults")]
#[doc(hidden)]
pub mod fault;
#[cfg(not(feature = "faults"))]
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod idle_timeout;
#[cfg(feature = "sim")]
pub mod input;
pub mod node;
pub mod producer;
mod published_key;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod script;
#[cfg(feature = "sim")]
pub mod sim;
pub mod wire;
