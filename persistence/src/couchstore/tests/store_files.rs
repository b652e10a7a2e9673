//! The files of a store: names, revisions, handles, locks, and directories of other engines.

mod directory;
mod dropped_stores;
mod handles;
mod owners;
mod revisions;
