//! Documents of all copies at rest, as their stores have them.

use std::collections::BTreeMap;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::{Engine, EngineError};

use crate::node::{Node, NodeId};
use crate::sim::oracle::Contents;

/// Documents by node and vBucket.
#[derive(Debug, Default)]
pub(in crate::sim) struct Stores(BTreeMap<(NodeId, Vbid), Contents>);

impl Stores {
    /// Reads a node's store.
    ///
    /// # Errors
    /// Same as the engine's reads.
    pub(in crate::sim) fn read(
        &mut self,
        number: NodeId,
        node: &Node,
        engine: &dyn Engine,
    ) -> Result<(), EngineError> {
        let vbs = node.partitions().map(|partition| partition.vbucket.id());
        for vb in vbs {
            self.insert(number, vb, Contents::read(engine, vb)?);
        }
        Ok(())
    }

    pub(in crate::sim) fn insert(&mut self, node: NodeId, vb: Vbid, contents: Contents) {
        self.0.insert((node, vb), contents);
    }

    pub(in crate::sim) fn get(&self, node: NodeId, vb: Vbid) -> Option<&Contents> {
        self.0.get(&(node, vb))
    }
}
