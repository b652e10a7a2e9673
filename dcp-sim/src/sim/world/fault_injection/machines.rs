//! Faults of machines: process, power, disk and memory.

use lowtide_checkpoint::Seqno;
use lowtide_checkpoint::internal::Invariant;
use lowtide_persistence::disk::Fault;

use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::due::Undo;
use crate::sim::world::host::{Loss, unless_internal};
use crate::sim::world::state::World;

impl World {
    pub(super) fn crash_or_stop(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Crash;
        let node = self.any_node(kind)?;
        let wants_order = self.draw(kind, 0, 2)? == 0;
        let host = self.hosts.at_mut(node)?;
        if !host.is_up {
            return Ok(false);
        }
        if wants_order && host.node.is_idle() && host.job.is_none() {
            let closed = match host.engine.take() {
                Some(engine) => unless_internal(engine.close())
                    .map_err(|source| SimError::Engine { node, source })?,
                None => None,
            };
            // A disk that fails makes it a crash.
            host.was_stopped_in_order = closed.is_some();
        }
        self.crash(node, Loss::Process)?;
        Ok(true)
    }

    pub(super) fn power_loss(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::PowerLoss;
        let node = self.any_node(kind)?;
        let is_now = self.draw(kind, 0, 2)? == 0;
        let nth = self.draw(kind, 1, 30)?;
        let host = self.hosts.at(node)?;
        if !host.is_up {
            return Ok(false);
        }
        match &host.storage.faulty {
            Some(disk) if !is_now => disk.power_off_at_io(nth),
            _ => self.lose_power(node)?,
        }
        Ok(true)
    }

    pub(super) fn hurt_disk(&mut self, kind: FaultKind) -> Result<bool, SimError> {
        let node = self.any_node(kind)?;
        let how = self.draw(kind, 0, 4)?;
        let nth = self.draw(kind, 1, 12)?;
        let host = self.hosts.at_mut(node)?;
        let disk = host
            .storage
            .faulty
            .clone()
            .invariant("W21", "a run with faults has disks that fail on command")?;
        match (kind, how) {
            (FaultKind::SlowDisk, _) => {
                host.slowness = nth * 10;
                self.end_later(kind, Undo::DiskSpeed(node))?;
            }
            (FaultKind::DiskFull, _) => {
                (1..=nth).for_each(|nth| disk.fail_write(nth, Fault::Enospc))
            }
            (_, 0) => disk.fail_io(nth, Fault::Eio),
            (_, 1) => disk.fail_io(nth, Fault::EioPersisted),
            (_, 2) => disk.fail_write(nth, Fault::Torn { bytes: nth * 321 }),
            _ => disk.fail_sync(nth.div_ceil(3)),
        }
        Ok(true)
    }

    pub(super) fn compact_something(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Compaction;
        let vb = self.any_vbucket(kind)?;
        let copies: Vec<_> = self.topology.copies_of(vb).collect();
        let node = self
            .pick(kind, &copies)?
            .invariant("W21", "a vBucket has an active")?;
        // A node that is down has persisted nothing that it knows of.
        let persisted = self.hosts.at(node)?.node.persisted_seqno(vb);
        let upto = self.draw(kind, 0, persisted.map_or(0, |seqno| seqno.0))?;
        let purges = self.draw(kind, 0, 1)? == 0;
        self.compact(node, vb, purges.then_some(Seqno(upto)))?;
        Ok(true)
    }

    pub(super) fn take_memory(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Memory;
        let node = self.any_node(kind)?;
        let limit_bytes = self.draw(kind, 1 << 14, 1 << 18)? as usize;
        // A node without a quota has no memory to take.
        if let Some(quota) = self.config.node.quota {
            self.hosts
                .at_mut(node)?
                .node
                .set_quota(quota.with_limit_bytes(limit_bytes))
                .map_err(|error| SimError::Config(error.to_string()))?;
        }
        self.end_later(kind, Undo::Memory(node))?;
        Ok(true)
    }
}
