//! The engine against the vendor's files, a model, and failing disks.

mod cached;
mod compact;
pub(super) mod craft;
mod crash;
mod dropped;
mod group;
mod handles;
mod history;
mod hostile;
mod layout;
mod limits;
mod lying_rows;
mod model;
mod mutated;
mod naive;
mod one_sync;
mod owners;
mod read_ahead;
mod replay;
mod revisions;
mod rewrites;
mod rollback;
mod room;
pub(super) mod support;
mod torn;
mod unreadable;
mod versions;

use self::compact::compact_to_end;
