//! The vendor's files, read by this engine and compared with the output of the vendor's own tools.
//! `persistence/tests/fixtures/couchstore/ORIGIN.md` names their sources.

mod content;
mod damage;
mod encrypted;
mod support;
