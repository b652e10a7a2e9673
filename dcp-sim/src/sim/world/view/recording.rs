//! Recording of a run's timeline.
//!
//! # Invariants
//!
//! - Recording changes nothing in the world.
//! - A run without a timeline pays one comparison per event.

use lowtide_checkpoint::Vbid;

use crate::node::NodeId;
use crate::sim::config::FaultKind;
use crate::sim::error::SimError;
use crate::sim::record::{NodeSample, Sample, Span, Timeline};
use crate::sim::world::state::World;

impl World {
    /// Records a timeline for the report.
    #[must_use]
    pub fn with_timeline(mut self) -> Self {
        self.timeline = Some(Timeline::default());
        self
    }

    /// Takes a sample if one is due.
    pub(in crate::sim::world) fn record(&mut self) -> Result<(), SimError> {
        let micros = self.clock.now_micros();
        if self
            .timeline
            .as_ref()
            .is_none_or(|timeline| !timeline.is_due(micros))
        {
            return Ok(());
        }
        let nodes = self.hosts.iter().map(|host| {
            let mut sample = NodeSample::default();
            for stats in host.node.checkpoint_stats() {
                sample.checkpoint_bytes += stats.memory_bytes() as u64;
                sample.expelled += stats.expelled + stats.removed;
                sample.cursors_dropped += stats.cursors_dropped;
            }
            sample
        });
        let mut sample = Sample {
            micros,
            nodes: nodes.collect(),
            lags: Default::default(),
        };
        for vb in self.topology.vbuckets() {
            let active = self.topology.active(vb);
            let high = self.high_seqno(active, vb)?;
            for replica in self.topology.replicas(vb) {
                // A replica may be ahead of an active that took over.
                let behind = high.saturating_sub(self.high_seqno(replica, vb)?);
                let lag = sample
                    .lags
                    .entry(format!("{active}→{replica}"))
                    .or_default();
                *lag = behind.max(*lag);
            }
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.record(sample);
        }
        Ok(())
    }

    /// Records a fault with its duration; 0 for an instant.
    pub(in crate::sim::world) fn note_fault(
        &mut self,
        kind: FaultKind,
        lasts_micros: u64,
        what: String,
    ) {
        let from_micros = self.clock.now_micros();
        if let Some(timeline) = &mut self.timeline {
            let to_micros = from_micros + lasts_micros;
            timeline.span(Span {
                kind: kind.name(),
                from_micros,
                to_micros,
                what,
            });
        }
    }

    /// Opens a span on a node.
    pub(in crate::sim::world) fn note_begin(&mut self, kind: &'static str, node: NodeId) {
        let micros = self.clock.now_micros();
        if let Some(timeline) = &mut self.timeline {
            timeline.begin(kind, node, micros);
        }
    }

    /// Closes a span on a node.
    pub(in crate::sim::world) fn note_end(&mut self, kind: &'static str, node: NodeId) {
        let micros = self.clock.now_micros();
        if let Some(timeline) = &mut self.timeline {
            timeline.end(kind, node, micros);
        }
    }

    /// Returns the high seqno of a copy; 0 of one that is down or not made yet.
    pub(in crate::sim::world) fn high_seqno(
        &self,
        node: NodeId,
        vb: Vbid,
    ) -> Result<u64, SimError> {
        let copy = self.hosts.copy(node, vb)?;
        Ok(copy.map_or(0, |copy| copy.vbucket.high_seqno().0))
    }
}
