//! Trace of a run: one JSON object a line, each flushed before the simulation continues.
//!
//! So a killed process had done everything that its trace says. A line about a persisted seqno is
//! written after the engine acknowledged it.

use std::io::Write;

use serde::Serialize;

use crate::sim::error::SimError;

/// One line of the trace.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TraceEvent<'a> {
    /// A batch of the source was written to the actives.
    Batch {
        /// Virtual time.
        micros: u64,
        /// Label of the batch.
        label: &'a str,
        /// Number of writes.
        changes: usize,
    },
    /// An engine acknowledged a vBucket up to a seqno.
    Persisted {
        /// Virtual time.
        micros: u64,
        /// The node.
        node: usize,
        /// The vBucket.
        vb: u16,
        /// Seqno up to which everything is durable.
        seqno: u64,
        /// Number of items written.
        items: usize,
    },
}

/// Target of the trace; by default none.
#[derive(Default)]
pub struct Trace(Option<Box<dyn Write + Send>>);

impl Trace {
    /// Creates a trace that writes to `out`.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>) -> Self {
        Self(Some(out))
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`SimError::Trace`] if the write fails.
    pub fn write(&mut self, event: &TraceEvent<'_>) -> Result<(), SimError> {
        let Some(out) = &mut self.0 else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(event).map_err(|error| SimError::Trace(error.into()))?;
        line.push(b'\n');
        out.write_all(&line)
            .and_then(|()| out.flush())
            .map_err(SimError::Trace)
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trace").field(&self.0.is_some()).finish()
    }
}
