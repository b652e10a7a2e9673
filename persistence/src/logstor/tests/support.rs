//! Support for the engine's tests: small stores, batches, contents, and the audit.

mod audit;
mod batches;
mod contents;
mod stores;

pub(in crate::logstor) use self::audit::audit;
pub(in crate::logstor) use self::batches::{
    A, B, C, commit, commit_all, delete, in_collection, noise, numbered, set, state,
};
pub(in crate::logstor) use self::contents::{Contents, apply, contents, contents_of, due, highs};
pub(in crate::logstor) use self::stores::{
    IMAGES, SMALL, STEP, change_byte, dir, dump, fork, hide_images, log_path, make_image, open,
    open_with, run,
};
