//! Commands that examine, compact and recover stores.

mod check;
mod compact;
mod dump;
mod inspect;
mod log_store;
mod progress;
mod recover;
mod store;

pub(super) use check::{CheckArguments, check};
pub(super) use compact::{CompactArguments, compact};
pub(super) use dump::{DumpArguments, dump};
pub(super) use inspect::{InspectArguments, inspect};
pub(super) use recover::{RecoverArguments, recover};
