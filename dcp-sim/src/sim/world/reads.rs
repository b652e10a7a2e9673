//! Clients that read on replicas in a run with faults.
//!
//! Each read is of a random key on a random replica; sometimes it is of all documents. A copy that
//! is unreachable, or has no visible state, refuses. A read takes no virtual time and draws from a
//! stream of its own.

use lowtide_checkpoint::{Seqno, State, VbUuid, Vbid};
use lowtide_persistence::{ScanLimit, Snapshot};

use super::due::Due;
use super::state::World;
use crate::node::{Documents, NodeId, ReadError, Reader};
use crate::sim::error::SimError;
use crate::sim::judge::Seen;

/// Number of reads per read of all documents.
const WHOLE: u64 = 16;

impl World {
    pub(super) fn read_later(&mut self) {
        let Some(chaos) = &self.chaos else { return };
        self.clock
            .schedule(chaos.plan.config.read_every_micros.max(1), Due::Read);
    }

    pub(super) fn read_a_replica(&mut self) -> Result<(), SimError> {
        let Some(chaos) = self
            .chaos
            .as_mut()
            .filter(|chaos| chaos.calm_micros.is_none())
        else {
            return Ok(());
        };
        let vb = Vbid(chaos.readers.below(usize::from(self.config.vbuckets)) as u16);
        let replicas: Vec<_> = self.topology.replicas(vb).collect();
        let replica = replicas.get(chaos.readers.below(replicas.len())).copied();
        let (is_whole, nth) = (
            chaos.readers.range(1, WHOLE) == 1,
            chaos.readers.range(0, u64::MAX - 1),
        );
        if let Some(node) = replica {
            let is_shown = self.is_reachable(node) && self.read(node, vb, is_whole, nth);
            if let Some(chaos) = &mut self.chaos {
                chaos.figures.reads += 1;
                chaos.figures.reads_refused += u64::from(!is_shown);
            }
        }
        self.read_later();
        Ok(())
    }

    /// Returns `true` if the read saw a state.
    fn read(&mut self, node: NodeId, vb: Vbid, is_whole: bool, nth: u64) -> bool {
        let (Some(chaos), Some(host)) = (
            &mut self.chaos,
            self.hosts.get(node).filter(|host| host.serves()),
        ) else {
            return false;
        };
        let Some(engine) = &host.engine else {
            return false;
        };
        let Some(partition) = host.node.partition(vb) else {
            return false;
        };
        if partition.vbucket.state() == State::Active {
            // The copy became active and the manager does not know it yet. An active shows writes
            // that it may still lose.
            return false;
        }
        let newest = chaos.history.newest(vb).unwrap_or(VbUuid(0));
        let (reader, view) = match host.node.reader(vb) {
            Ok(reader @ Reader::Memory(_)) => (reader, None),
            Ok(Reader::Disk(disk)) => match disk.view(engine.as_ref()) {
                Ok(view) => (Reader::Disk(disk), Some(view)),
                // A read during a power loss gets no answer.
                Err(ReadError::Engine(_)) if host.has_lost_power() => return false,
                Err(ReadError::Engine(error)) => {
                    chaos.reads.failed(node, vb, &error);
                    return false;
                }
                Err(_) => return false,
            },
            Err(_) => return false,
        };
        let (branch, seqno) = match &view {
            Some(view) => {
                let branch = view
                    .state()
                    .map_or(newest, |state| state.failover_log.newest().uuid);
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
        chaos.reads.seen(seen, chaos.streams.received(node, vb));
        if let Some(key) = chaos.history.some_key(vb, branch, nth) {
            match reader.get(engine.as_ref(), &key) {
                Ok(found) => chaos.reads.key(seen, &key, found.as_ref(), &chaos.history),
                Err(_) if host.has_lost_power() => return false,
                Err(error) => chaos.reads.failed(node, vb, &error),
            }
        }
        if is_whole {
            let content = match &view {
                Some(view) => content(view.as_ref()),
                None => Ok(partition.documents.content()),
            };
            match content {
                Ok(content) => chaos.reads.whole(seen, content, &chaos.history),
                Err(_) if host.has_lost_power() => return false,
                Err(error) => chaos.reads.failed(node, vb, &error),
            }
        }
        true
    }
}

fn content(view: &dyn Snapshot) -> Result<u64, lowtide_persistence::EngineError> {
    let all = view.scan(Seqno::ZERO, view.high(), ScanLimit::NONE)?;
    Ok(all.items.into_iter().collect::<Documents>().content())
}
