//! A foreign client: any client of the Database Change Protocol, with nothing except the protocol's
//! own information.
//!
//! It consumes a producer's bytes and produces a client's bytes, and reports to a judge each
//! [`Seen`] observation. For each vBucket it keeps the last failover log, the last seqno, the range
//! of the last snapshot marker, and the folded documents. It decides nothing by its documents. It
//! knows no node, no clock and no other client.
//!
//! **Rollback.** The producer names a seqno: everything above it belongs to another history. A
//! client with only the latest revision of each key cannot undo a revision. A client with a
//! complete snapshot lacks the revisions that were replaced inside that snapshot. So the named
//! seqno is in general no state that the client ever had. A correct client returns to a *whole
//! point* at or below it, a state that the protocol declared complete, and requests the stream from
//! there. There are two kinds of clients:
//!
//! - One with a journal keeps the revision that each of its last changes replaced, and its whole
//!   points. If the journal does not reach, it starts over.
//! - One without a journal starts over at seqno 0, regardless of the named seqno.
//!
//! **Conclusions** (W20). Everything is complete at seqno 0; at a marker's end, after an item or an
//! advance with it; and before a marker's start, wherever that is.

mod client;
mod documents;
mod position;
mod session;
mod temper;

pub(super) use client::{Client, Follow, News};
pub(super) use position::Seen;
pub(super) use temper::{Prefers, Temper};

#[cfg(test)]
mod tests;
