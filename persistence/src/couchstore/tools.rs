//! Tools for one file without a store: reading, checking, mapping and salvaging it, whatever
//! program wrote it.
//!
//! # Invariants
//!
//! - A file that a tool reads is only read. It is not locked and not repaired.
//! - Damage is reported, and the rest is still read.

pub(super) mod check;
mod couch_file;
mod layout;
mod node_visit;
mod salvage;
mod surveyor;
mod tree_survey;

pub use self::check::{CheckObserver, CheckReport, Finding, FindingKind, check_file};
pub use self::couch_file::{CouchFile, HeaderInfo};
pub use self::layout::{Cell, Layout, TreeLayout, Use};
pub use self::salvage::{Loss, SalvageObserver, Salvaged, salvage};

pub(super) use self::check::{Digest, check_commit};
pub(super) use self::surveyor::{Flaw, FlawKind, SurveyedNode, Surveyor};
pub(super) use self::tree_survey::{Survey, SurveyedRow};
