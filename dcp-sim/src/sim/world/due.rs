//! Kinds of scheduled events.

use lowtide_checkpoint::Vbid;

use crate::node::{Event, NodeId};
use crate::sim::config::FaultKind;
use crate::sim::hardware::LinkId;

/// Scheduled event.
#[derive(Debug)]
pub(in crate::sim) enum Due {
    /// The client writes its next batch.
    Client,
    /// Event of a node in that incarnation.
    Node(NodeId, u32, Box<Event>),
    /// Bytes arrive at an end of a connection.
    Arrive { link: LinkId, to_consumer: bool },
    /// An end of a connection notices its loss.
    Notice { link: LinkId, consumer: bool },
    /// The client gets an answer of a node in that incarnation.
    Answer(NodeId, u32, u64),
    /// The cluster's manager compares the cluster with its topology.
    Reconcile,
    /// A fault strikes.
    Strike(FaultKind),
    /// A fault ends.
    Undo(Undo),
    /// A node that is down starts.
    Start(NodeId),
    /// Next step of a compaction on a node in that incarnation.
    Compact(NodeId, u32),
    /// Next step of a move.
    Move(Move),
    /// A client reads on a replica.
    Read,
    /// Nodes check their timers.
    Tick,
    /// Event of a foreign client.
    Foreign(Turn),
    /// The safety phase ends.
    EndOfFaults,
}

/// Move in progress.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Move {
    /// The active hands over to that replica. `looks` counts the attempts.
    HandOver { vb: Vbid, to: NodeId, looks: u32 },
    /// The active hands over to that replica through their stream.
    TakeOver { vb: Vbid, to: NodeId, looks: u32 },
    /// A copy on one node replaces another's. If that is the active, it hands over first.
    Copy {
        vb: Vbid,
        from: NodeId,
        to: NodeId,
        looks: u32,
    },
}

/// End of a fault.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Undo {
    /// Ways open again.
    OpenWays(Vec<(NodeId, NodeId)>),
    /// A node becomes reachable again.
    Rejoin(NodeId),
    /// These connections are lost, if their ways are still closed.
    TimeOut(Vec<LinkId>),
    /// A direction regains its speed.
    Speed(NodeId, NodeId),
    /// A disk regains its speed.
    DiskSpeed(NodeId),
    /// A node regains its memory.
    Memory(NodeId),
}

impl Undo {
    /// Returns the nodes of the fault, or the ways between them.
    pub(super) fn place(&self) -> String {
        match self {
            Self::OpenWays(ways) => ways
                .iter()
                .map(|(from, to)| format!("{from}→{to}"))
                .collect::<Vec<_>>()
                .join(", "),
            Self::Speed(from, to) => format!("{from}→{to}"),
            Self::Rejoin(node) | Self::DiskSpeed(node) | Self::Memory(node) => {
                format!("node {node}")
            }
            Self::TimeOut(links) => format!("{} connections", links.len()),
        }
    }
}

/// Event of a foreign client.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Turn {
    /// Search for nodes to follow.
    Look(usize),
    /// Bytes arrive at an end of its connection.
    Arrive { link: LinkId, to_client: bool },
    /// Read of bytes that arrived from a node.
    Read { client: usize, node: NodeId },
    /// An end of its connection notices the loss.
    Notice { link: LinkId, is_client: bool },
    /// Fault, or change of its streams.
    Whim(usize),
    /// A way opens again.
    Open { from: NodeId, to: NodeId },
    /// A direction regains its speed.
    Speed { from: NodeId, to: NodeId },
}
