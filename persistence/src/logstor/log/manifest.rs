//! `MANIFEST`: what the log itself can't say. It is a catalog of vBuckets and cut-off tails,
//! changed by edits.
//!
//! Edits are rare, so each is durable before it is acted on.
//!
//! ```text
//! file   slot | slot                  each half of the file, filled with zeros when it is made
//! slot   frame (catalog, generation) | frame (generation, edit) | ... | zeros
//! ```
//!
//! Frames are those of [`record`](crate::shared::record). One slot counts: the valid one with the higher
//! generation.
//!
//! # Invariants
//!
//! - An edit that was acknowledged is there after any crash. One that was not is there as a whole
//!   or not at all, and never once a later one was acknowledged (L6).
//! - Epochs are never used again, and a record above its epoch's cap does not exist (L7).
//! - Opening writes the catalog into the other slot, so that it is durable before anything relies
//!   on it. Opening and edits write within the file's own bytes, unless the catalog has outgrown a
//!   slot (L46).

mod catalog;
mod edit;
mod lineage;
mod open_manifest;
mod read;
mod slot;

#[cfg(test)]
mod tests;

pub(in crate::logstor) use self::catalog::{Catalog, CatalogEntry};
pub(in crate::logstor) use self::edit::{ManifestEdit, RetiredTail};
pub(in crate::logstor) use self::lineage::{EpochStart, Lineage};
pub(in crate::logstor) use self::open_manifest::Manifest;
pub(in crate::logstor) use self::read::read_manifest;
pub(in crate::logstor) use self::slot::MANIFEST_NAME;
