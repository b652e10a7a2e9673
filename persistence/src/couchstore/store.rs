//! A store: its directory of files, and the vBucket in each file.
//!
//! # Invariants
//!
//! - A vBucket exists as a whole or not at all, whenever the power fails (E15).
//! - Readers see whole, durable commits and wait for no writer.
//! - Batches of different vBuckets share nothing (E10), and a damaged file harms no other vBucket
//!   (E11).
//! - One compaction of a vBucket runs at a time, and only it replaces the file (E14).

mod directory;
pub(super) mod file_names;
pub(super) mod group_commit;
mod listing;
mod open_store;
mod published_commit;
mod snapshot;
mod vbucket;

pub use self::listing::{StoreFile, StoreListing, list_store, name_of_store_file};

pub(super) use self::directory::{Directory, VBucketSlot};
pub(super) use self::open_store::OpenStore;
pub(super) use self::published_commit::PublishedCommit;
pub(super) use self::snapshot::CouchSnapshot;
pub(super) use self::vbucket::{CompactionClaim, PurgedRow, VBucket};
