//! A foreign client: any client of the Database Change Protocol, with nothing but what the protocol gives it.
//!
//! In go a producer's bytes, out come a client's, and what the client has [`Seen`], for a judge. Of each vBucket it keeps
//! the failover log it was given last, the last seqno, the range of the last snapshot marker, and the documents it
//! has folded. It decides nothing by its documents. It knows no node, no clock and no other client.
//!
//! **How it goes back.** The producer names a seqno: everything above it is of another history. A client that has only
//! the latest revision of each key can't undo the last one, and a client that had a snapshot whole lacks what was
//! replaced inside that snapshot. So the seqno that the producer names is in general no state that the client ever had.
//! A correct client goes back to a *whole point* at or below it, a state that the protocol said to be complete, and asks
//! again from there. Two kinds of connectors are played:
//!
//! - one with a journal: it keeps the revision that each of its last changes replaced, and where its whole points were;
//!   if the journal does not reach, it starts over;
//! - one without: it starts over at seqno 0, whatever seqno the producer names.
//!
//! **What it concludes** (W20): everything is whole at seqno 0; at a marker's end, once an item or an advance has it;
//! and before a marker's start, wherever that is.

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
