//! `dcp-sim compact`: copies a file or a store without unreachable data, and reports the result.

mod arguments;
mod command;
mod compacted;
mod in_place;
mod log;

pub(in crate::cli) use arguments::CompactArguments;
pub(in crate::cli) use command::compact;
