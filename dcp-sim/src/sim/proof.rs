//! End of a run: the cluster at rest is judged, then its stores are closed, reopened and judged,
//! too.

use std::collections::BTreeMap;

use bytes::Bytes;
use lowtide_persistence::EngineError;
use lowtide_persistence::disk::DiskOperation;

use super::error::SimError;
use super::judge::{Stores, agreement, contents, durability, managers, settled, source};
use super::record::{InvariantVerdict, Report};
use super::world::{Host, Observer, World};

/// Additional proof of the end state, for sources that have one. It receives the documents of all
/// actives.
pub type Proof<'a> = dyn FnMut(&BTreeMap<&[u8], &Bytes>) -> Result<InvariantVerdict, SimError> + 'a;

impl World {
    /// Runs to the end and judges the result. `proof` adds one verdict.
    ///
    /// # Errors
    /// When the run ends early. Violated invariants are in the report.
    pub fn run(
        mut self,
        observer: &mut dyn Observer,
        proof: Option<&mut Proof<'_>>,
    ) -> Result<Report, SimError> {
        self.run_events(observer)?;
        let mut timeline = self.timeline.take();
        if let Some(timeline) = &mut timeline {
            timeline.finish(self.clock.now_micros());
        }
        let nodes = self.nodes();
        let mut managers = self.managers.clone();
        managers::check(&mut managers, nodes.iter().copied());
        let stores = self.read_stores()?;
        let union = source::union(&self.topology, &stores);
        // A tombstone that one copy purged may remain on another.
        let with_tombstones = self.chaos.is_none();
        let mut verdicts = vec![
            settled::check(&self.topology, &nodes),
            agreement::check(&self.topology, &stores, with_tombstones),
            managers,
        ];
        if let Some(chaos) = &self.chaos {
            verdicts.push(contents::check(
                &self.topology,
                &nodes,
                &stores,
                &chaos.history,
            )?);
        } else {
            verdicts.push(source::check(&self.oracle, &union));
            if let Some(proof) = proof {
                verdicts.push(proof(&union.documents)?);
            }
        }
        let documents = union.documents.len() as u64;
        let values = union.documents.values();
        let document_bytes = values.map(|value| value.len() as u64).sum();
        self.figures.documents = documents;
        self.figures.document_bytes = document_bytes;
        self.figures.sets = self.oracle.sets;
        self.figures.deletes = self.oracle.deletes;
        verdicts.extend(self.settling());
        verdicts.push(self.reopen_all(&stores, with_tombstones)?);
        verdicts.push(std::mem::take(&mut self.order).verdict());
        verdicts.extend(self.foreign_verdicts()?);
        let clients = self.foreign.figures().clone();
        let faults = self.chaos.take().map(|chaos| {
            let (mut figures, of_faults) = chaos.verdicts();
            figures.clients = clients;
            verdicts.extend(of_faults);
            figures
        });
        verdicts.sort_by_key(InvariantVerdict::number);
        Ok(Report {
            source: self.source.describe(),
            seed: self.config.seed,
            nodes: self.config.nodes,
            replicas: self.config.replicas,
            vbuckets: self.config.vbuckets,
            shape: None,
            figures: self.figures,
            faults,
            per_node: self.hosts.iter().map(|host| host.figures).collect(),
            verdicts,
            timeline,
        })
    }

    /// Reads every store. A node that is down has none; W2 and W14 report it.
    fn read_stores(&self) -> Result<Stores, SimError> {
        let mut stores = Stores::default();
        for (number, host) in self.hosts.iter().enumerate() {
            if let Some(engine) = &host.engine {
                let read = stores.read(number, &host.node, engine.as_ref());
                read.map_err(|source| SimError::Engine {
                    node: number,
                    source,
                })?;
            }
        }
        Ok(stores)
    }

    fn reopen_all(
        &mut self,
        stores: &Stores,
        with_tombstones: bool,
    ) -> Result<InvariantVerdict, SimError> {
        let mut verdict = durability::verdict();
        for (number, host) in self.hosts.iter_mut().enumerate() {
            host.take_figures()?;
            let reopened = host.reopen(&mut verdict, number, stores, with_tombstones);
            reopened.map_err(|source| SimError::Engine {
                node: number,
                source,
            })?;
        }
        Ok(verdict)
    }
}

impl Host {
    fn take_figures(&mut self) -> Result<(), SimError> {
        let disk = self.storage.disk.stats();
        self.figures.disk_syncs = disk.syncs + disk.dir_syncs;
        self.figures.disk_written_bytes = disk.written_bytes;
        for stats in self.node.checkpoint_stats() {
            self.figures.queued += stats.high_seqno.0;
            self.figures.deduplicated += stats.deduplicated;
            self.figures.expelled += stats.expelled;
            self.figures.removed += stats.removed;
        }
        // A node that is down at the end has no open store; W2 and W14 report it.
        if let Some(engine) = &self.engine {
            self.figures.store_bytes = engine.stats().common.file_bytes;
        }
        Ok(())
    }

    fn reopen(
        &mut self,
        verdict: &mut InvariantVerdict,
        number: usize,
        stores: &Stores,
        with_tombstones: bool,
    ) -> Result<(), EngineError> {
        self.job = None;
        if let Some(engine) = self.engine.take() {
            match engine.close() {
                // A sync failed, and nothing was written since. Reopening determines the content.
                Err(EngineError::Poisoned { .. }) if self.storage.faulty.is_some() => {}
                // A sync during the eviction of a file handle failed, and this close is the first
                // to report it.
                Err(EngineError::Disk(error))
                    if self.storage.faulty.is_some()
                        && error.operation == DiskOperation::SyncData => {}
                closed => closed?,
            }
        }
        let reopened = self.engine.insert(self.storage.open()?);
        for vb in reopened.vbuckets() {
            self.figures.store_documents += reopened.info(vb)?.items;
        }
        durability::check(
            verdict,
            number,
            &self.node,
            stores,
            reopened.as_ref(),
            with_tombstones,
        )
    }
}
