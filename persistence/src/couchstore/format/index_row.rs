//! A row as each of the two indexes stores it: the same revision in two layouts.

pub(in crate::couchstore) mod by_id;
pub(in crate::couchstore) mod by_seqno;
