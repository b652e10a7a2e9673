//! Filter of a stream: parses a stream request's JSON and decides for each item whether it is sent.
//!
//! | member | meaning |
//! |---|---|
//! | `collections` | ids, hexadecimal text: only these |
//! | `scope` | an id, hexadecimal text: only the collections of that scope |
//! | `sid` | the stream's id, if the connection enabled them |
//! | `uid` | the manifest that the client knows, hexadecimal text; only its form is checked |
//! | `purge_seqno` | the client knows that tombstones up to here are purged, decimal text |
//!
//! A vBucket here has no manifest. It knows the default collection and scope, and that ids 1 to 7
//! are reserved.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/stream-request-value.md`, "Key Definition".
//!
//! # Invariants
//!
//! - S18. An item that passes the filter is sent. About the others the client learns at most that a
//!   snapshot ended. After the last collection in the filter was dropped, no item can pass.

use std::collections::BTreeSet;

use lowtide_checkpoint::{Item, Operation, Seqno};
use serde_json::{Map, Value};

use super::collections::Collections;
use crate::wire::{Event, Status, StreamId, system_event};

/// Ids that no collection can have. 0 is the default collection.
const RESERVED: std::ops::RangeInclusive<u32> = 1..=7;

/// Collections of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// `None` for all.
    collections: Option<BTreeSet<u32>>,
    /// The client has no Collections: events of collections are hidden.
    is_bare: bool,
}

/// Parsed value of a stream request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilterRequest {
    pub(super) filter: Filter,
    pub(super) stream_id: Option<StreamId>,
    pub(super) purge: Seqno,
}

impl FilterRequest {
    /// Parses a request's value. An empty one requests everything.
    pub(super) fn read(value: &[u8]) -> Result<Self, Status> {
        if value.is_empty() {
            return Ok(Self::default());
        }
        let json: Map<String, Value> =
            serde_json::from_slice(value).map_err(|_| Status::INVALID)?;
        let known = ["collections", "scope", "sid", "uid", "purge_seqno"];
        if !known.iter().any(|name| json.contains_key(*name)) {
            return Err(Status::INVALID);
        }
        if let Some(uid) = json.get("uid") {
            hex(uid)?;
        }
        let purge = json.get("purge_seqno").map_or(Ok(0), decimal)?;
        let collections = match (json.get("collections"), json.get("scope")) {
            (None, None) => None,
            (Some(ids), None) => Some(collections(ids)?),
            (None, Some(scope)) if hex(scope)? == 0 => Some(BTreeSet::from([0])),
            (None, Some(_)) => return Err(Status::UNKNOWN_SCOPE),
            (Some(_), Some(_)) => return Err(Status::INVALID),
        };
        let stream_id = json.get("sid").map(stream_id).transpose()?;
        let filter = Filter {
            collections,
            is_bare: false,
        };
        Ok(Self {
            filter,
            stream_id,
            purge: Seqno(purge),
        })
    }

    /// Creates the filter of a connection without Collections: the default collection.
    pub(super) fn bare() -> Self {
        let filter = Filter {
            collections: Some(BTreeSet::from([0])),
            is_bare: true,
        };
        Self {
            filter,
            ..Self::default()
        }
    }
}

fn collections(ids: &Value) -> Result<BTreeSet<u32>, Status> {
    let texts = ids
        .as_array()
        .filter(|texts| !texts.is_empty())
        .ok_or(Status::INVALID)?;
    let collections = texts
        .iter()
        .map(|text| u32::try_from(hex(text)?).map_err(|_| Status::INVALID))
        .collect::<Result<BTreeSet<_>, _>>()?;
    if collections.iter().any(|id| RESERVED.contains(id)) {
        Err(Status::UNKNOWN_COLLECTION)
    } else {
        Ok(collections)
    }
}

fn stream_id(value: &Value) -> Result<StreamId, Status> {
    let id = value
        .as_u64()
        .and_then(|id| u16::try_from(id).ok())
        .ok_or(Status::INVALID)?;
    if id == 0 {
        Err(Status::STREAM_ID_INVALID)
    } else {
        Ok(StreamId(id))
    }
}

fn hex(value: &Value) -> Result<u64, Status> {
    let text = value
        .as_str()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(Status::INVALID)
}

fn decimal(value: &Value) -> Result<u64, Status> {
    let text = value
        .as_str()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or(Status::INVALID)
}

impl Filter {
    /// Returns `true` if the client requested a subset.
    pub(super) fn is_restricting(&self) -> bool {
        self.collections.is_some() && !self.is_bare
    }

    /// Returns `true` if the filter names a dropped collection.
    pub(super) fn names_dropped(&self, known: &Collections) -> bool {
        self.collections
            .iter()
            .flatten()
            .any(|&collection| known.is_dropped(collection))
    }

    /// Returns the highest seqno that passes the filter, or `None` if everything passes.
    pub(super) fn high(&self, known: &Collections) -> Option<Seqno> {
        let collections = self.collections.as_ref()?;
        collections
            .iter()
            .map(|&collection| known.high(collection))
            .max()
    }

    /// Returns `true` if the client sees the item.
    pub(super) fn passes(&self, item: &Item) -> bool {
        let Some(collections) = &self.collections else {
            return true;
        };
        if item.operation != Operation::SystemEvent {
            return collections.contains(&item.key.collection());
        }
        match system_event(item) {
            Some(
                Event::CollectionCreated { collection, .. }
                | Event::CollectionDropped { collection, .. },
            ) => collections.contains(&collection) && !self.is_bare,
            _ => false,
        }
    }

    /// Records an item that was read. One that drops a collection removes it from the filter.
    pub(super) fn record(&mut self, item: &Item) {
        if let (Some(collections), Operation::SystemEvent) = (&mut self.collections, item.operation)
            && let Some(Event::CollectionDropped { collection, .. }) = system_event(item)
        {
            collections.remove(&collection);
        }
    }

    /// Returns `true` if no item can pass any more.
    pub(super) fn is_empty(&self) -> bool {
        self.collections.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<FilterRequest, Status> {
        FilterRequest::read(json.as_bytes())
    }

    #[test]
    fn malformed_filter_is_invalid() {
        for bad in [
            "{}",
            "x",
            "[]",
            "\"a\"",
            "{\"other\":1}",
            "{\"collections\":[]}",
            "{\"collections\":[8]}",
            "{\"collections\":\"8\"}",
            "{\"collections\":[\"x\"]}",
            "{\"collections\":[\"100000000\"]}",
            "{\"collections\":[\"8\"],\"scope\":\"0\"}",
            "{\"scope\":0}",
            "{\"uid\":1}",
            "{\"uid\":\"+1\"}",
            "{\"sid\":\"1\"}",
            "{\"sid\":65536}",
            "{\"sid\":-1}",
            "{\"purge_seqno\":5}",
            "{\"purge_seqno\":\"a\"}",
        ] {
            assert_eq!(read(bad), Err(Status::INVALID), "{bad}");
        }
    }

    #[test]
    fn filter_of_an_impossible_id_is_unknown() {
        assert_eq!(
            read("{\"collections\":[\"0\",\"1\"]}"),
            Err(Status::UNKNOWN_COLLECTION)
        );
        assert_eq!(read("{\"scope\":\"8\"}"), Err(Status::UNKNOWN_SCOPE));
        assert_eq!(read("{\"sid\":0}"), Err(Status::STREAM_ID_INVALID));
    }

    #[test]
    fn filter_with_all_members_is_read() {
        assert_eq!(read(""), Ok(FilterRequest::default()));
        let read = read(
            "{\"uid\":\"1f\",\"collections\":[\"0\",\"1F4\"],\"sid\":7,\"purge_seqno\":\"12\"}",
        );
        let filter = Filter {
            collections: Some(BTreeSet::from([0, 0x1f4])),
            is_bare: false,
        };
        assert_eq!(
            read,
            Ok(FilterRequest {
                filter,
                stream_id: Some(StreamId(7)),
                purge: Seqno(12)
            })
        );
    }
}
