//! Timeline of a run: gauges at regular instants of virtual time, and spans of faults and jobs.
//!
//! # Invariants
//!
//! - There are at most [`SAMPLES_MAX`] samples, however long the run is. When there are more,
//!   neighbours are merged and the higher value of each gauge is kept, so no peak is lost.
//! - Spans beyond [`SPANS_MAX`] are counted and not kept.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::node::NodeId;

/// A screen has about this number of columns.
const SAMPLES_MAX: usize = 2_048;
const SPANS_MAX: usize = 4_096;
/// Initial interval. It doubles whenever neighbours are merged.
const FIRST_INTERVAL_MICROS: u64 = 100;

/// One node at an instant, and its work since the previous sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeSample {
    /// Bytes of its checkpoint managers.
    pub checkpoint_bytes: u64,
    /// Items expelled, or removed with their checkpoint, since the start of the run.
    pub expelled: u64,
    /// Cursors dropped by memory recovery, since the start of the run.
    pub cursors_dropped: u64,
    /// Flushes since the previous sample.
    pub flushes: u64,
    /// Items written by these flushes.
    pub flushed_items: u64,
    /// Duration of the longest of these flushes.
    pub flush_micros_max: u64,
}

impl NodeSample {
    fn merge(&mut self, later: &Self) {
        self.checkpoint_bytes = self.checkpoint_bytes.max(later.checkpoint_bytes);
        self.expelled = later.expelled;
        self.cursors_dropped = later.cursors_dropped;
        self.flushes += later.flushes;
        self.flushed_items += later.flushed_items;
        self.flush_micros_max = self.flush_micros_max.max(later.flush_micros_max);
    }
}

/// The cluster at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sample {
    /// Virtual time in microseconds.
    pub micros: u64,
    /// All nodes, by number. A node that is down keeps its values.
    pub nodes: Vec<NodeSample>,
    /// Largest lag in seqnos of a vBucket on each connection, by name: `producer→consumer`.
    pub lags: BTreeMap<String, u64>,
}

impl Sample {
    fn merge(&mut self, later: Self) {
        self.micros = later.micros;
        for (node, later) in self.nodes.iter_mut().zip(&later.nodes) {
            node.merge(later);
        }
        for (name, lag) in later.lags {
            let known = self.lags.entry(name).or_default();
            *known = lag.max(*known);
        }
    }
}

/// An interval: a fault or a compaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Span {
    /// Kind of the span; one row of the picture.
    pub kind: &'static str,
    /// Start, in virtual microseconds.
    pub from_micros: u64,
    /// End; equal to the start for an instant.
    pub to_micros: u64,
    /// Place and details.
    pub what: String,
}

/// Timeline of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Timeline {
    /// Virtual time between samples.
    pub interval_micros: u64,
    /// Samples, ascending by time.
    pub samples: Vec<Sample>,
    /// Spans, in the order of their ends.
    pub spans: Vec<Span>,
    /// Number of spans beyond the limit.
    pub spans_left_out: u64,
    #[serde(skip)]
    due_micros: u64,
    /// Start of each open span.
    #[serde(skip)]
    open: BTreeMap<(&'static str, NodeId), u64>,
    /// Flushes since the previous sample.
    #[serde(skip)]
    flushed: BTreeMap<NodeId, NodeSample>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            interval_micros: FIRST_INTERVAL_MICROS,
            samples: Vec::new(),
            spans: Vec::new(),
            spans_left_out: 0,
            due_micros: 0,
            open: BTreeMap::new(),
            flushed: BTreeMap::new(),
        }
    }
}

impl Timeline {
    /// Returns `true` if a sample is due.
    #[must_use]
    pub fn is_due(&self, now_micros: u64) -> bool {
        now_micros >= self.due_micros
    }

    /// Records a finished flush.
    pub fn flushed(&mut self, node: NodeId, items: u64, micros: u64) {
        let done = NodeSample {
            flushes: 1,
            flushed_items: items,
            flush_micros_max: micros,
            ..NodeSample::default()
        };
        self.flushed.entry(node).or_default().merge(&done);
    }

    /// Adds a sample, with the flushes since the previous one. Its time must not be before that of
    /// the previous one.
    pub fn record(&mut self, mut sample: Sample) {
        for (node, flushed) in std::mem::take(&mut self.flushed) {
            if let Some(sample) = sample.nodes.get_mut(node) {
                sample.flushes += flushed.flushes;
                sample.flushed_items += flushed.flushed_items;
                sample.flush_micros_max = sample.flush_micros_max.max(flushed.flush_micros_max);
            }
        }
        self.due_micros = sample.micros + self.interval_micros;
        self.samples.push(sample);
        if self.samples.len() > SAMPLES_MAX {
            self.halve();
        }
    }

    /// Adds a span.
    pub fn span(&mut self, span: Span) {
        if self.spans.len() < SPANS_MAX {
            self.spans.push(span);
        } else {
            self.spans_left_out += 1;
        }
    }

    /// Opens a span on a node; [`Timeline::end`] closes it.
    pub fn begin(&mut self, kind: &'static str, node: NodeId, micros: u64) {
        self.open.entry((kind, node)).or_insert(micros);
    }

    /// Closes a span. Does nothing if none is open.
    pub fn end(&mut self, kind: &'static str, node: NodeId, micros: u64) {
        if let Some(from_micros) = self.open.remove(&(kind, node)) {
            self.span(Span {
                kind,
                from_micros,
                to_micros: micros,
                what: format!("node {node}"),
            });
        }
    }

    /// Closes all open spans at the end of the run.
    pub fn finish(&mut self, micros: u64) {
        for (kind, node) in self.open.keys().copied().collect::<Vec<_>>() {
            self.end(kind, node, micros);
        }
    }

    fn halve(&mut self) {
        let mut merged = Vec::with_capacity(SAMPLES_MAX);
        let mut samples = std::mem::take(&mut self.samples).into_iter();
        while let Some(mut sample) = samples.next() {
            if let Some(later) = samples.next() {
                sample.merge(later);
            }
            merged.push(sample);
        }
        self.samples = merged;
        self.interval_micros *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(micros: u64, bytes: u64, lag: u64) -> Sample {
        let node = NodeSample {
            checkpoint_bytes: bytes,
            expelled: micros,
            ..NodeSample::default()
        };
        Sample {
            micros,
            nodes: vec![node],
            lags: BTreeMap::from([("0→1".to_owned(), lag)]),
        }
    }

    #[test]
    fn long_timeline_keeps_peaks_and_totals() {
        let mut timeline = Timeline::default();
        let mut taken = 0;
        for micros in (0..4_000_000).step_by(50) {
            timeline.flushed(0, 3, micros % 777);
            if timeline.is_due(micros) {
                let peak = u64::from(taken == 5_000);
                timeline.record(sample(micros, 10 + 90 * peak, 1 + 99 * peak));
                taken += 1;
            }
        }
        assert!(taken > 5_000, "the peak was recorded: {taken}");
        assert!(timeline.samples.len() <= SAMPLES_MAX && timeline.samples.len() > SAMPLES_MAX / 4);
        assert!(timeline.samples.is_sorted_by_key(|sample| sample.micros));
        let node = |pick: fn(&NodeSample) -> u64| {
            timeline
                .samples
                .iter()
                .map(move |sample| pick(&sample.nodes[0]))
        };
        assert_eq!(node(|node| node.checkpoint_bytes).max(), Some(100));
        assert_eq!(
            timeline
                .samples
                .iter()
                .map(|sample| sample.lags["0→1"])
                .max(),
            Some(100)
        );
        assert!(node(|node| node.flush_micros_max).max() > Some(750));
        let flushes: u64 = node(|node| node.flushes).sum();
        assert_eq!(node(|node| node.flushed_items).sum::<u64>(), 3 * flushes);
        assert!(
            flushes > 79_000,
            "only those after the last sample are missing: {flushes}"
        );
    }

    #[test]
    fn open_spans_end_with_the_run() {
        let mut timeline = Timeline::default();
        timeline.begin("down", 1, 10);
        timeline.begin("down", 2, 20);
        timeline.begin("down", 1, 25);
        timeline.end("down", 1, 30);
        timeline.end("down", 3, 40);
        timeline.finish(50);
        let spans: Vec<_> = timeline
            .spans
            .iter()
            .map(|span| (span.what.as_str(), span.from_micros, span.to_micros))
            .collect();
        assert_eq!(spans, [("node 1", 10, 30), ("node 2", 20, 50)]);
    }

    #[test]
    fn spans_beyond_the_limit_are_counted() {
        let mut timeline = Timeline::default();
        for micros in 0..SPANS_MAX as u64 + 3 {
            timeline.span(Span {
                kind: "crash",
                from_micros: micros,
                to_micros: micros,
                what: String::new(),
            });
        }
        assert_eq!(
            (timeline.spans.len(), timeline.spans_left_out),
            (SPANS_MAX, 3)
        );
    }
}
