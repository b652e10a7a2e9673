//! Documents in memory, next to a naive engine.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Operation, Seqno};

use super::*;

mod eviction;
mod fetches;
mod filters;
mod memory;
mod model;
mod prepares;
mod revisions;

/// A budget that evicts nothing.
const ROOMY: usize = usize::MAX;

fn documents(limit_bytes: usize) -> Documents {
    Documents::new(CacheBudget::new(limit_bytes), Seqno::ZERO)
}

fn key(name: &str) -> Key {
    Key::new(name.as_bytes())
}

fn mutation(name: &str, seqno: u64) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(key(name), Bytes::from(vec![b'v'; 100]))
    }
}

fn completion(operation: Operation, name: &str, seqno: u64, prepare_seqno: u64) -> Item {
    Item {
        seqno: Seqno(seqno),
        prepare_seqno: Seqno(prepare_seqno),
        ..Item::new(operation, key(name))
    }
}

/// Looks up a key that memory does not know.
fn begin_fetch(documents: &mut Documents, name: &str) -> Fetch {
    match documents.find(&key(name)) {
        Found::Unknown(fetch) => fetch,
        found => panic!("memory knows {name}: {found:?}"),
    }
}

/// Looks up a key and returns its seqno, `None` if it is absent.
fn seqno_of(documents: &mut Documents, name: &str) -> Option<u64> {
    match documents.find(&key(name)) {
        Found::Revision(item) => Some(item.seqno.0),
        Found::Absent => None,
        Found::Unknown(_) => panic!("memory does not know {name}"),
    }
}

/// Fetches a key from an engine that has `stored`.
fn cache(documents: &mut Documents, name: &str, stored: Option<Item>) {
    let fetch = begin_fetch(documents, name);
    documents
        .fetched(fetch, stored)
        .expect("the fetch is valid");
}

fn assert_sound(documents: &Documents) {
    assert_eq!(documents.check(), Vec::<String>::new());
}
