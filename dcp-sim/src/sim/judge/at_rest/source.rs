//! W5: the actives together have exactly the writes of the source, folded by the oracle.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::node::Node;
use crate::sim::config::Topology;
use crate::sim::oracle::Oracle;
use crate::sim::record::Verdict;

/// Returns the live documents of all actives, by user key.
pub(in crate::sim) fn union<'a>(
    topology: &Topology,
    nodes: &[&'a Node],
) -> BTreeMap<&'a [u8], &'a Bytes> {
    let actives = topology.vbuckets().filter_map(|vb| {
        nodes
            .get(topology.active(vb))
            .and_then(|node| node.partition(vb))
    });
    actives
        .flat_map(|active| active.documents.live())
        .map(|(key, value)| (key.user(), value))
        .collect()
}

pub(in crate::sim) fn check(oracle: &Oracle, union: &BTreeMap<&[u8], &Bytes>) -> Verdict {
    let mut verdict = Verdict::new("W5", "the actives together hold exactly what was written");
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
