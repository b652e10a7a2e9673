//! The vendor's files, read by us, against what the vendor's own tools say about them.
//! `persistence/tests/fixtures/couchstore/ORIGIN.md` tells where they come from.

mod content;
mod damage;
mod encrypted;
mod support;
