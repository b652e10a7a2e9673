//! W15: at the end the actives have exactly the documents of their history, key by key.

use std::collections::BTreeMap;

use lowtide_checkpoint::internal::Violation;

use super::stores::Stores;
use crate::node::Node;
use crate::sim::config::Topology;
use crate::sim::oracle::History;
use crate::sim::record::InvariantVerdict;

pub(in crate::sim) fn check(
    topology: &Topology,
    nodes: &[&Node],
    stores: &Stores,
    history: &History,
) -> Result<InvariantVerdict, Violation> {
    let mut verdict = InvariantVerdict::new(
        "W15",
        "the actives hold exactly what was written and not lost with a branch",
    );
    for vb in topology.vbuckets() {
        let number = topology.active(vb);
        let active = nodes.get(number).and_then(|node| node.partition(vb));
        let (Some(active), Some(documents)) = (active, stores.get(number, vb)) else {
            verdict.check(Some(format!("vBucket {vb} has no active")));
            continue;
        };
        let log = active.vbucket.failover_log();
        let is_newest = history.newest(vb)? == log.newest().uuid;
        verdict.check((!is_newest).then(|| {
            format!(
                "vBucket {vb} is on {}, not the newest branch",
                log.newest().uuid
            )
        }));
        let written: BTreeMap<_, _> = history.live(vb)?.collect();
        for (key, &digest) in &written {
            let found = documents.get(key).map(|document| document.digest(key));
            verdict.check(
                (found != Some(digest))
                    .then(|| format!("vBucket {vb}, {key}: {found:x?}, not {digest:x}")),
            );
        }
        for (key, _) in documents
            .live()
            .filter(|(key, _)| !written.contains_key(key))
        {
            verdict.check(Some(format!(
                "vBucket {vb}: {key} was never written, deleted, or lost"
            )));
        }
    }
    Ok(verdict)
}
