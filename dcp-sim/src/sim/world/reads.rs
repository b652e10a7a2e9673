//! Clients that read on replicas in a run with faults.
//!
//! Each read is of a random key on a random replica; sometimes it is of all documents. A copy that
//! is unreachable, or has no visible state, refuses. A read takes no virtual time and draws from a
//! stream of its own.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Seqno, State, VbUuid, Vbid};
use lowtide_persistence::{ScanLimit, Snapshot};

use super::chaos;
use super::due::Due;
use super::state::World;
use crate::node::{NodeId, ReadError, Reader};
use crate::sim::error::SimError;
use crate::sim::judge::Seen;
use crate::sim::oracle::Digests;

/// Number of reads per read of all documents.
const WHOLE: u64 = 16;

impl World {
    pub(super) fn read_later(&mut self) -> Result<(), SimError> {
        let every_micros = chaos::required(&mut self.chaos)?
            .plan
            .config
            .read_every_micros;
        self.clock.schedule(every_micros.max(1), Due::Read);
        Ok(())
    }

    pub(super) fn read_a_replica(&mut self) -> Result<(), SimError> {
        let chaos = chaos::required(&mut self.chaos)?;
        if chaos.liveness_micros.is_some() {
            return Ok(());
        }
        let vb = chaos.readers.vbucket(self.config.vbuckets);
        let replicas: Vec<_> = self.topology.replicas(vb).collect();
        let replica = chaos.readers.pick(&replicas).copied();
        let is_whole = chaos.readers.range(1, WHOLE) == 1;
        let nth = chaos.readers.range(0, u64::MAX - 1);
        if let Some(node) = replica {
            let is_shown = self.is_reachable(node)? && self.read(node, vb, is_whole, nth)?;
            let figures = &mut chaos::required(&mut self.chaos)?.figures;
            figures.reads += 1;
            figures.reads_refused += u64::from(!is_shown);
        }
        self.read_later()
    }

    /// Returns `true` if the read saw a state.
    fn read(&mut self, node: NodeId, vb: Vbid, is_whole: bool, nth: u64) -> Result<bool, SimError> {
        let chaos = chaos::required(&mut self.chaos)?;
        let host = self.hosts.at(node)?;
        if !host.serves() {
            return Ok(false);
        }
        let engine = host
            .engine
            .as_ref()
            .invariant("W21", "a node that is up has an open store")?;
        // The manager has not made the copy yet.
        let Some(partition) = host.node.partition(vb) else {
            return Ok(false);
        };
        if partition.vbucket.state() == State::Active {
            // The copy became active and the manager does not know it yet. An active shows writes
            // that it may still lose.
            return Ok(false);
        }
        let newest = chaos.history.newest(vb)?;
        let (reader, view) = match host.node.reader(vb) {
            Ok(reader @ Reader::Memory(_)) => (reader, None),
            Ok(Reader::Disk(disk)) => match disk.view(engine.as_ref()) {
                Ok(view) => (Reader::Disk(disk), Some(view)),
                // A read during a power loss gets no answer.
                Err(ReadError::Engine(_)) if host.has_lost_power() => return Ok(false),
                Err(ReadError::Engine(error)) => {
                    chaos.reads.failed(node, vb, &error);
                    return Ok(false);
                }
                Err(_) => return Ok(false),
            },
            Err(_) => return Ok(false),
        };
        let (branch, seqno) = match &view {
            Some(view) => {
                // A store without a write of the vBucket has no state of it.
                let branch = match view.state() {
                    Some(state) => state.failover_log.newest().uuid,
                    None if view.high() == Seqno::ZERO => newest,
                    None => VbUuid(0),
                };
                (branch, view.high())
            }
            None => (
                partition.vbucket.failover_log().newest().uuid,
                partition.vbucket.high_seqno(),
            ),
        };
        let seen = Seen {
            node,
            vb,
            branch,
            seqno,
        };
        let is_known = chaos.history.knows(vb, branch);
        chaos
            .reads
            .seen(seen, chaos.streams.received(node, vb), is_known);
        if let Some(key) = chaos.history.some_key(vb, branch, nth) {
            match reader.get(engine.as_ref(), &key) {
                Ok(found) => chaos.reads.key(seen, &key, found.as_ref(), &chaos.history),
                Err(_) if host.has_lost_power() => return Ok(false),
                Err(error) => chaos.reads.failed(node, vb, &error),
            }
        }
        if is_whole {
            let content = match &view {
                Some(view) => content(view.as_ref()),
                None => Ok(chaos.copies.at(node, vb).content()),
            };
            match content {
                Ok(content) => chaos.reads.whole(seen, content, &chaos.history),
                Err(_) if host.has_lost_power() => return Ok(false),
                Err(error) => chaos.reads.failed(node, vb, &error),
            }
        }
        Ok(true)
    }
}

fn content(view: &dyn Snapshot) -> Result<u64, lowtide_persistence::EngineError> {
    let all = view.scan(Seqno::ZERO, view.high(), ScanLimit::NONE)?;
    Ok(all.items.into_iter().collect::<Digests>().content())
}
