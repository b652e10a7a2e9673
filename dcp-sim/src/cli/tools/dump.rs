//! `dcp-sim dump`: prints the documents of a store as JSON lines, one row at a time.
//!
//! # Invariants
//!
//! - T4. Each row of a commit is printed once, in the requested order. Keys have no prefixes of the
//!   vendor. Values are printed unchanged, so values that a client compressed stay compressed.

mod arguments;
mod command;
mod line;
mod log;
mod printer;

pub(in crate::cli) use arguments::DumpArguments;
pub(in crate::cli) use command::dump;
