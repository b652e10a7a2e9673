//! `dcp-sim dump`: the documents of a store as JSON lines, one row at a time.
//!
//! T4: each row of a commit comes once, in the order asked for. Keys come without the vendor's prefixes; values as they
//! were given, so those that a client compressed are still compressed.

mod arguments;
mod command;
mod line;
mod log;
mod printer;

pub(in crate::cli) use arguments::DumpArguments;
pub(in crate::cli) use command::dump;
