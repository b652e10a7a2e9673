//! `dcp-sim compact`: a file, or a store's files, without what nobody can reach; what that came to, told.

mod arguments;
mod command;
mod compacted;
mod in_place;
mod log;

pub(in crate::cli) use arguments::CompactArguments;
pub(in crate::cli) use command::compact;
