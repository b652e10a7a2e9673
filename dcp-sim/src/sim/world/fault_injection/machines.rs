//! Faults of machines: process, power, disk and memory.

use lowtide_checkpoint::Seqno;
use lowtide_persistence::disk::Fault;

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::world::due::Undo;
use crate::sim::world::host::Loss;
use crate::sim::world::state::World;

impl World {
    pub(super) fn crash_or_stop(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::Crash;
        let Some(node) = self.any_node(kind, None) else {
            return Ok(false);
        };
        let wants_order = self.draw(kind, 0, 2) == 0;
        let Some(host) = self.hosts.get_mut(node).filter(|host| host.is_up) else {
            return Ok(false);
        };
        if wants_order && host.node.is_idle() && host.job.is_none() {
            let closed = host.engine.take().map(|engine| engine.close());
            host.was_stopped_in_order = matches!(closed, Some(Ok(())));
        }
        self.crash(node, Loss::Process)?;
        Ok(true)
    }

    pub(super) fn power_loss(&mut self) -> Result<bool, SimError> {
        let kind = FaultKind::PowerLoss;
        let Some(node) = self.any_node(kind, None) else {
            return Ok(false);
        };
        let (is_now, nth) = (self.draw(kind, 0, 2) == 0, self.draw(kind, 1, 30));
        let Some(host) = self.hosts.get(node).filter(|host| host.is_up) else {
            return Ok(false);
        };
        match &host.storage.faulty {
            Some(disk) if !is_now => disk.power_off_at_io(nth),
            _ => self.lose_power(node)?,
        }
        Ok(true)
    }

    pub(super) fn hurt_disk(&mut self, kind: FaultKind) -> bool {
        let Some(node) = self.any_node(kind, None) else {
            return false;
        };
        let (how, nth) = (self.draw(kind, 0, 4), self.draw(kind, 1, 12));
        let Some(disk) = self
            .hosts
            .get(node)
            .and_then(|host| host.storage.faulty.clone())
        else {
            return false;
        };
        match (kind, how) {
            (FaultKind::SlowDisk, _) => {
                self.set_slowness(node, nth * 10);
                self.end_later(kind, Undo::DiskSpeed(node));
            }
            (FaultKind::DiskFull, _) => {
                (1..=nth).for_each(|nth| disk.fail_write(nth, Fault::Enospc))
            }
            (_, 0) => disk.fail_io(nth, Fault::Eio),
            (_, 1) => disk.fail_io(nth, Fault::EioPersisted),
            (_, 2) => disk.fail_write(nth, Fault::Torn { bytes: nth * 321 }),
            _ => disk.fail_sync(nth.div_ceil(3)),
        }
        true
    }

    pub(super) fn set_slowness(&mut self, node: NodeId, times: u64) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.slowness = times;
        }
    }

    pub(super) fn compact_something(&mut self) -> bool {
        let kind = FaultKind::Compaction;
        let vb = self.any_vbucket(kind);
        let copies: Vec<_> = self.topology.copies_of(vb).collect();
        let index = self.draw(kind, 0, copies.len() as u64 - 1) as usize;
        let Some(&node) = copies.get(index) else {
            return false;
        };
        let persisted = self
            .hosts
            .get(node)
            .and_then(|host| host.node.persisted_seqno(vb));
        let upto = self.draw(kind, 0, persisted.map_or(0, |seqno| seqno.0));
        let purges = self.draw(kind, 0, 1) == 0;
        self.compact(node, vb, purges.then_some(Seqno(upto)));
        true
    }

    pub(super) fn take_memory(&mut self) -> bool {
        let kind = FaultKind::Memory;
        let Some(node) = self.any_node(kind, None) else {
            return false;
        };
        let limit_bytes = self.draw(kind, 1 << 14, 1 << 18) as usize;
        let quota = self
            .config
            .node
            .quota
            .map(|quota| quota.with_limit_bytes(limit_bytes));
        if let Some(host) = self.hosts.get_mut(node) {
            host.node.set_quota(quota);
        }
        self.end_later(kind, Undo::Memory(node));
        true
    }
}
