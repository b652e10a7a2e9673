//! State of a world of nodes and streams, and its commands.

use std::collections::BTreeMap;

use lowtide_checkpoint::{FailoverLog, State, VbUuid, Vbid};

use super::connection::Connection;
use super::node::StreamNode;
use super::{judge, node};
use crate::script::language::{ConnectOptions, Link, NodeOptions, StreamCommand};
use crate::script::worlds::clock::Clock;
use crate::script::worlds::print::Output;

/// Number of messages after which a world counts as never settling.
const MESSAGES_MAX: usize = 100_000;
const NANOS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(in crate::script) struct StreamWorld {
    nodes: BTreeMap<String, StreamNode>,
    connections: Vec<Connection>,
    /// Index of the connection whose turn it is.
    turn: usize,
    clock: Clock,
    waited_seconds: u64,
}

/// Messages that were delivered, and the lines about them: at least one each.
#[derive(Debug, Default)]
struct Delivered {
    messages: usize,
    lines: Vec<String>,
}

impl StreamWorld {
    /// Adds a node.
    pub(in crate::script::worlds) fn add(&mut self, options: &NodeOptions) -> Output {
        if self.nodes.contains_key(&options.name) {
            return Err("node-exists");
        }
        self.nodes
            .insert(options.name.clone(), StreamNode::new(options.vbuckets)?);
        Ok(Vec::new())
    }

    pub(in crate::script::worlds) fn run(&mut self, command: &StreamCommand) -> Output {
        match command {
            StreamCommand::FailoverLog { node, vb, log } => {
                let node = self.node(node)?;
                let high = node.partition(*vb)?.vbucket.high_seqno();
                let purge = node.partition(*vb)?.purge;
                node.pretend(*vb, log.clone(), high, purge)
                    .map(|()| Vec::new())
            }
            StreamCommand::VBucket {
                node,
                vb,
                high,
                purge,
            } => {
                let node = self.node(node)?;
                // A missing vBucket is created.
                let log = node.partition(*vb).map_or_else(
                    |_| FailoverLog::new(node::FIRST_BRANCH),
                    |partition| partition.vbucket.failover_log(),
                );
                node.pretend(*vb, log, *high, *purge).map(|()| Vec::new())
            }
            StreamCommand::StreamRequest {
                node,
                vb,
                wanted,
                negotiated,
                reads,
            } => judge::stream_request(self.node(node)?, *vb, wanted, *negotiated, *reads),
            StreamCommand::Write { node, vb, writes } => {
                let now = self.clock.tick();
                let high = self.node(node)?.write(*vb, writes, now)?;
                Ok(vec![format!("high={high}")])
            }
            StreamCommand::Close { node, vb } => {
                self.node(node)?.partition(*vb)?.vbucket.manager().close();
                Ok(Vec::new())
            }
            StreamCommand::Flush { node } => {
                let now = self.clock.tick();
                self.node(node)?.flush(now).map(|()| Vec::new())
            }
            StreamCommand::Recover { node, vb } => {
                let recovered = self
                    .node(node)?
                    .partition(*vb)?
                    .vbucket
                    .manager()
                    .recover_memory(usize::MAX);
                Ok(vec![format!(
                    "cursors-dropped={}",
                    recovered.cursors_dropped.len()
                )])
            }
            StreamCommand::Purge { node, vb, upto } => Ok(vec![format!(
                "purged={}",
                self.node(node)?.purge(*vb, *upto)?
            )]),
            StreamCommand::SetState {
                node,
                vb,
                state,
                uuid,
            } => self.set_state(node, *vb, *state, *uuid),
            StreamCommand::Show { node, vb } => self.show(node, *vb),
            StreamCommand::Connect { link, options } => self.connect(link, options),
            StreamCommand::Disconnect(link) => {
                let at = self.place(link)?;
                let mut connection = self.connections.remove(at);
                connection.close(self.node(&link.from)?);
                Ok(Vec::new())
            }
            StreamCommand::Hold(link, is_held) => {
                let at = self.place(link)?;
                self.connections.get_mut(at).ok_or("not-connected")?.is_held = *is_held;
                Ok(Vec::new())
            }
            StreamCommand::TakeOver(link, vb) => {
                let at = self.place(link)?;
                let follower = self.nodes.get(&link.to).ok_or("unknown-node")?;
                let connection = self.connections.get_mut(at).ok_or("not-connected")?;
                connection.take_over(follower, *vb).map(|()| Vec::new())
            }
            StreamCommand::Step(messages) => Ok(self.deliver(*messages)?.lines),
            StreamCommand::RunUntilSettled => {
                let delivered = self.deliver(MESSAGES_MAX)?;
                if delivered.messages < MESSAGES_MAX {
                    Ok(delivered.lines)
                } else {
                    Err("not-settled")
                }
            }
            StreamCommand::Wait { seconds } => self.wait(*seconds),
            StreamCommand::Get { node, vb, key } => Ok(vec![self.node(node)?.get(*vb, key)?]),
            StreamCommand::Compare {
                nodes: [one, other],
                vb,
            } => self.compare(one, other, *vb),
        }
    }

    fn node(&mut self, name: &str) -> Result<&mut StreamNode, &'static str> {
        self.nodes.get_mut(name).ok_or("unknown-node")
    }

    fn place(&self, link: &Link) -> Result<usize, &'static str> {
        let is_it =
            |connection: &Connection| connection.from == link.from && connection.to == link.to;
        self.connections
            .iter()
            .position(is_it)
            .ok_or("not-connected")
    }

    fn connect(&mut self, link: &Link, options: &ConnectOptions) -> Output {
        if self.place(link).is_ok() {
            return Err("connected");
        }
        if link.from == link.to {
            return Err("invalid-argument");
        }
        let node = |name: &str| self.nodes.get(name).ok_or("unknown-node");
        let source = node(&link.from)?;
        let follower = node(&link.to)?;
        let opened = Connection::open((&link.from, &link.to), (source, follower), options)?;
        self.connections.push(opened);
        Ok(Vec::new())
    }

    fn set_state(&mut self, name: &str, vb: Vbid, state: State, uuid: Option<VbUuid>) -> Output {
        let node = self.nodes.get(name).ok_or("unknown-node")?;
        node.partition(vb)?
            .vbucket
            .set_state(state, uuid)
            .map_err(|error| node::kind(&error))?;
        for connection in self
            .connections
            .iter_mut()
            .filter(|connection| connection.from == name)
        {
            connection.state_changed(node, vb);
        }
        Ok(Vec::new())
    }

    fn show(&mut self, name: &str, vb: Vbid) -> Output {
        let vbucket = &self.node(name)?.partition(vb)?.vbucket;
        let log = vbucket.failover_log();
        let branches = log
            .entries()
            .iter()
            .map(|entry| format!("branch {:#x} {}", entry.uuid.0, entry.seqno));
        let head = format!("{} high={}", vbucket.state(), vbucket.high_seqno());
        Ok(std::iter::once(head).chain(branches).collect())
    }

    /// Delivers that number of messages, or all.
    fn deliver(&mut self, messages: usize) -> Result<Delivered, &'static str> {
        let mut delivered = Delivered::default();
        let mut idle = 0;
        while delivered.messages < messages && idle < self.connections.len() {
            let at = self.turn % self.connections.len();
            // Only the remainder counts.
            self.turn = self.turn.wrapping_add(1);
            let lines = self.deliver_on(at)?;
            if lines.is_empty() {
                idle += 1;
            } else {
                idle = 0;
                delivered.messages += 1;
                delivered.lines.extend(lines);
            }
        }
        Ok(delivered)
    }

    fn deliver_on(&mut self, at: usize) -> Output {
        let Some(connection) = self.connections.get_mut(at) else {
            return Ok(Vec::new());
        };
        let from = connection.from.clone();
        let to = connection.to.clone();
        // Both ends are changed, so one is out of the map meanwhile.
        let mut follower = self.nodes.remove(&to).ok_or("unknown-node")?;
        let source = self.nodes.get_mut(&from).ok_or("unknown-node");
        let delivered_lines = source.and_then(|source| connection.deliver(source, &mut follower));
        self.nodes.insert(to.clone(), follower);
        if delivered_lines.is_err() {
            let mut connection = self.connections.remove(at);
            connection.close(self.node(&from)?);
            return Ok(vec![format!("{from}->{to} closed")]);
        }
        delivered_lines
    }

    fn wait(&mut self, seconds: u64) -> Output {
        let mut lines = Vec::new();
        for _ in 0..seconds {
            self.waited_seconds += 1;
            let now = self.waited_seconds * NANOS;
            let mut silent = Vec::new();
            for (at, connection) in self.connections.iter_mut().enumerate() {
                let source = self.nodes.get(&connection.from).ok_or("unknown-node")?;
                if connection.tick(now, source).is_err() {
                    silent.push(at);
                }
            }
            for at in silent.into_iter().rev() {
                let mut connection = self.connections.remove(at);
                lines.push(format!("{}->{} closed", connection.from, connection.to));
                connection.close(self.node(&connection.from.clone())?);
            }
        }
        Ok(lines)
    }

    fn compare(&mut self, one: &str, other: &str, vb: Option<Vbid>) -> Output {
        let node = |name: &str| self.nodes.get(name).ok_or("unknown-node");
        let one = node(one)?;
        let other = node(other)?;
        let vbs: Vec<_> =
            vb.map_or_else(|| one.partitions.keys().copied().collect(), |vb| vec![vb]);
        let mut items = 0;
        let mut keys = Vec::new();
        for vb in vbs {
            match one.compare(other, vb)? {
                Ok(count) => items += count,
                Err(differing) => keys.extend(differing),
            }
        }
        if keys.is_empty() {
            return Ok(vec![format!("equal items={items}")]);
        }
        let first = keys.iter().take(5).map(ToString::to_string);
        Ok(std::iter::once("different".to_owned())
            .chain(first)
            .collect())
    }
}
