//! Commands that run simulations.

mod arguments;
mod faults;
mod replay;
mod run;
mod seeds;
mod shape;
mod shrink;
mod source;

pub(super) use arguments::RunArguments;
pub(super) use replay::{ReplayArguments, replay};
pub(super) use run::run;
