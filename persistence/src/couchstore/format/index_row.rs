//! A row as each of the two indexes stores it: the same revision in two layouts.

pub(crate) mod by_id;
pub(crate) mod by_seqno;
