//! The end of a run: the cluster at rest is judged, its stores are closed, reopened and judged too.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::SimError;
use super::invariants::{Verdict, agreement, durability, managers, settled, source};
use super::report::Report;
use super::world::{Host, Observer, World};

/// A further proof of the end state, for sources that have one: the documents of all actives go in.
pub type Proof<'a> = dyn FnMut(&BTreeMap<&[u8], &Bytes>) -> Result<Verdict, SimError> + 'a;

impl World {
    /// Runs to the end and judges what is there. `proof` is asked for one more verdict.
    ///
    /// # Errors
    /// When the run can't come to its end; broken invariants are in the report.
    pub fn run(
        mut self,
        observer: &mut dyn Observer,
        proof: Option<&mut Proof<'_>>,
    ) -> Result<Report, SimError> {
        self.run_events(observer)?;
        let nodes = self.nodes();
        let mut managers = self.managers.clone();
        managers::check(&mut managers, &nodes);
        let union = source::union(&self.topology, &nodes);
        let mut verdicts = vec![
            settled::check(&self.topology, &nodes),
            agreement::check(&self.topology, &nodes),
            source::check(&self.oracle, &union),
            managers,
        ];
        if let Some(proof) = proof {
            verdicts.push(proof(&union)?);
        }
        let (documents, document_bytes) = (union.len(), union.values().map(|value| value.len() as u64).sum());
        (self.figures.documents, self.figures.document_bytes) = (documents as u64, document_bytes);
        (self.figures.sets, self.figures.deletes) = (self.oracle.sets, self.oracle.deletes);
        verdicts.push(self.reopen_all()?);
        verdicts.push(std::mem::take(&mut self.order).verdict());
        verdicts.sort_by_key(|verdict| verdict.invariant);
        Ok(Report {
            source: self.source.describe(),
            seed: self.config.seed,
            nodes: self.config.nodes,
            replicas: self.config.replicas,
            vbuckets: self.config.vbuckets,
            figures: self.figures,
            per_node: self.hosts.iter().map(|host| host.figures).collect(),
            verdicts,
        })
    }

    fn reopen_all(&mut self) -> Result<Verdict, SimError> {
        let mut verdict = durability::verdict();
        for (number, host) in self.hosts.iter_mut().enumerate() {
            host.take_figures();
            host.reopen(&mut verdict, number).map_err(|source| SimError::Engine { node: number, source })?;
        }
        Ok(verdict)
    }
}

impl Host {
    fn take_figures(&mut self) {
        let disk = self.storage.disk.stats();
        self.figures.disk_syncs = disk.syncs + disk.dir_syncs;
        self.figures.disk_written_bytes = disk.written_bytes;
        for stats in self.node.checkpoint_stats() {
            self.figures.queued += stats.high_seqno.0;
            self.figures.deduplicated += stats.deduplicated;
            self.figures.expelled += stats.expelled;
            self.figures.removed += stats.removed;
        }
        let stats = self.engine.as_ref().map(|engine| engine.stats()).unwrap_or_default();
        self.figures.store_bytes = stats.get("file-bytes").copied().unwrap_or(0);
    }

    fn reopen(&mut self, verdict: &mut Verdict, number: usize) -> Result<(), persistence::EngineError> {
        if let Some(engine) = self.engine.take() {
            engine.close()?;
        }
        let reopened = self.engine.insert(self.storage.open()?);
        for vb in reopened.vbuckets() {
            self.figures.store_documents += reopened.info(vb)?.items;
        }
        durability::check(verdict, number, &self.node, reopened.as_ref())
    }
}
