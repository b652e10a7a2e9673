//! W5: the actives together have exactly the writes of the source, folded by the oracle.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::stores::Stores;
use crate::sim::config::Topology;
use crate::sim::oracle::Oracle;
use crate::sim::record::InvariantVerdict;

/// Live documents of all actives.
#[derive(Debug, Default)]
pub(in crate::sim) struct Union<'a> {
    /// Values by user key.
    pub(in crate::sim) documents: BTreeMap<&'a [u8], &'a Bytes>,
    /// Keys that more than one vBucket has.
    twice: Vec<&'a [u8]>,
}

/// Collects the live documents of all actives. W2 reports a vBucket without an active.
pub(in crate::sim) fn union<'a>(topology: &Topology, stores: &'a Stores) -> Union<'a> {
    let actives = topology
        .vbuckets()
        .filter_map(|vb| stores.get(topology.active(vb), vb));
    let mut union = Union::default();
    for (key, value) in actives.flat_map(|active| active.live()) {
        if union.documents.insert(key.user(), value).is_some() {
            union.twice.push(key.user());
        }
    }
    union
}

pub(in crate::sim) fn check(oracle: &Oracle, union: &Union<'_>) -> InvariantVerdict {
    let mut verdict =
        InvariantVerdict::new("W5", "the actives together hold exactly what was written");
    for key in &union.twice {
        verdict.check(Some(format!(
            "{} is in more than one vBucket",
            key.escape_ascii()
        )));
    }
    let union = &union.documents;
    for (key, value) in oracle.documents() {
        let violation = match union.get(&key[..]) {
            Some(found) if *found == value => None,
            Some(found) => Some(format!(
                "{}: {} bytes, not {}",
                key.escape_ascii(),
                found.len(),
                value.len()
            )),
            None => Some(format!("{} is missing", key.escape_ascii())),
        };
        verdict.check(violation);
    }
    for key in union.keys().filter(|key| oracle.document(key).is_none()) {
        verdict.check(Some(format!(
            "{} was deleted or never written",
            key.escape_ascii()
        )));
    }
    verdict
}
