//! `dcp-sim inspect`: what a store's files hold, how their trees are built, and how much of them is live.

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
