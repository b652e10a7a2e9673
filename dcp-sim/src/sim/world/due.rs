//! Everything that can be due at an instant.

use lowtide_checkpoint::Vbid;

use crate::node::{Event, NodeId};
use crate::sim::config::FaultKind;
use crate::sim::hardware::LinkId;

/// Something due at an instant.
#[derive(Debug)]
pub(in crate::sim) enum Due {
    /// The client writes its next batch.
    Client,
    /// Something happens to a node, if it is still of that incarnation.
    Node(NodeId, u32, Box<Event>),
    /// Bytes arrive at an end of a connection.
    Arrive { link: LinkId, to_consumer: bool },
    /// An end of a connection learns that it is lost.
    Notice { link: LinkId, consumer: bool },
    /// The client gets an answer from a node, if that is still of the incarnation it asked.
    Answer(NodeId, u32, u64),
    /// The cluster's manager looks whether everything is as it should be.
    Reconcile,
    /// A fault strikes.
    Strike(FaultKind),
    /// A fault ends.
    Undo(Undo),
    /// A node that is down starts.
    Start(NodeId),
    /// A node's compaction goes on, if it is still of that incarnation.
    Compact(NodeId, u32),
    /// A vBucket that is being moved is looked at.
    Move(Move),
    /// A client reads on a replica.
    Read,
    /// Nodes are told how late it is.
    Tick,
    /// Something happens to a foreign client.
    Foreign(Turn),
    /// From here on nothing goes wrong any more.
    Calm,
}

/// A move under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Move {
    /// The active is to hand over to that replica.
    HandOver { vb: Vbid, to: NodeId, looks: u32 },
    /// The active is handing over to that replica, as the stream between them has it.
    TakeOver { vb: Vbid, to: NodeId, looks: u32 },
    /// A copy is being built on one node, to take the place of another's; if that is the active, it hands over first.
    Copy {
        vb: Vbid,
        from: NodeId,
        to: NodeId,
        looks: u32,
    },
}

/// How a fault ends.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Undo {
    /// Ways open again.
    OpenWays(Vec<(NodeId, NodeId)>),
    /// A node can be reached again.
    Rejoin(NodeId),
    /// These connections have waited too long, if their ways are closed still.
    TimeOut(Vec<LinkId>),
    /// A direction is as fast as ever.
    Speed(NodeId, NodeId),
    /// A disk is as fast as ever.
    DiskSpeed(NodeId),
    /// A node has all its memory again.
    Memory(NodeId),
}

impl Undo {
    /// The nodes, or ways between them, that the fault is at.
    pub(super) fn where_it_is(&self) -> String {
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

/// What happens to a foreign client.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Turn {
    /// It looks for nodes to follow.
    Look(usize),
    /// Bytes arrive at an end of its connection.
    Arrive { link: LinkId, to_client: bool },
    /// It reads what has arrived from a node.
    Read { client: usize, node: NodeId },
    /// An end of its connection learns that it is lost.
    Notice { link: LinkId, is_client: bool },
    /// Something goes wrong with it, or it changes its mind.
    Whim(usize),
    /// A way opens again.
    Open { from: NodeId, to: NodeId },
    /// A direction is as fast as ever.
    Speed { from: NodeId, to: NodeId },
}
