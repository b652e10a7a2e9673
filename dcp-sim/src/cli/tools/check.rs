//! `dcp-sim check`: verifies the files of a store and tells what is wrong, with file and offset.

mod command;
mod log;

pub(in crate::cli) use command::{CheckArguments, check};
