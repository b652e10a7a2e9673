//! Nodes and the streams between them, driven by commands: a command goes in, what it prints comes out.
//!
//! What always holds: the real vBuckets, producers and consumers answer, through bytes as on a wire; whatever happens,
//! a command caused.

use std::collections::BTreeMap;

use checkpoint::FailoverLog;

use super::print::Output;
use super::stream_command::{NodeOptions, StreamCommand};

mod judge;
mod node;

use node::StreamNode;

#[derive(Debug, Default)]
pub(super) struct StreamWorld {
    nodes: BTreeMap<String, StreamNode>,
}

impl StreamWorld {
    /// A node more.
    pub(super) fn add(&mut self, options: &NodeOptions) -> Output {
        if self.nodes.contains_key(&options.name) {
            return Err("node-exists");
        }
        self.nodes.insert(options.name.clone(), StreamNode::new(options.vbuckets)?);
        Ok(Vec::new())
    }

    pub(super) fn run(&mut self, command: &StreamCommand) -> Output {
        match command {
            StreamCommand::FailoverLog { node, vb, log } => {
                let node = self.node(node)?;
                let (high, purge) = (node.partition(*vb)?.vbucket.high_seqno(), node.partition(*vb)?.purge);
                node.pretend(*vb, log.clone(), high, purge);
                Ok(Vec::new())
            }
            StreamCommand::VBucket { node, vb, high, purge } => {
                let node = self.node(node)?;
                // A history that was pretended begins on the branch that the log says; a vBucket that is not there is made.
                let log = node.partition(*vb).map_or_else(
                    |_| FailoverLog::new(node::FIRST_BRANCH),
                    |partition| partition.vbucket.failover_log(),
                );
                node.pretend(*vb, log, *high, *purge);
                Ok(Vec::new())
            }
            StreamCommand::StreamRequest { node, vb, wanted, negotiated } => {
                judge::stream_request(self.node(node)?, *vb, wanted, *negotiated)
            }
        }
    }

    fn node(&mut self, name: &str) -> Result<&mut StreamNode, &'static str> {
        self.nodes.get_mut(name).ok_or("unknown-node")
    }
}
