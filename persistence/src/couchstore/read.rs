//! Reading a commit: items by key and by seqno, rows, counts, local documents.
//!
//! All of it is methods of [`CommitView`](crate::couchstore::file::CommitView). A commit never
//! changes, so a read takes no lock and runs concurrently with later commits. Damage ends a read
//! with an error that names the place in the file.

mod body_reader;
mod documents;
mod index_rows;
mod key_scan;
mod local_documents;
mod row_count;
pub(super) mod tombstones;
mod value_slab;
