//! `dcp-sim inspect`: shows the contents of a store's files, the structure of their trees, and
//! their share of live data.

mod arguments;
mod command;
mod figures;
mod log;
mod log_figures;
mod log_render;
mod render;
mod table;

pub(in crate::cli) use arguments::InspectArguments;
pub(in crate::cli) use command::inspect;
