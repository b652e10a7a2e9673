//! `dcp-sim check`: verifies the files of a store, and reports defects with file and offset.

mod command;
mod log;

pub(in crate::cli) use command::{CheckArguments, check};
