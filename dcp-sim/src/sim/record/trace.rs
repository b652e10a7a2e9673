//! The trace: what happened, one JSON object a line, each written through before the simulation goes on.
//!
//! So whatever a killed process was seen to say, it had done: a line about a persisted seqno is written after the
//! engine acknowledged it and never before.

use std::io::Write;

use serde::Serialize;

use crate::sim::error::SimError;

/// One line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum TraceEvent<'a> {
    /// A batch of the source was written to the actives.
    Batch {
        /// Virtual time.
        micros: u64,
        /// Where it is from.
        label: &'a str,
        /// Its writes.
        changes: usize,
    },
    /// A node's engine acknowledged a vBucket up to a seqno.
    Persisted {
        /// Virtual time.
        micros: u64,
        /// The node.
        node: usize,
        /// The vBucket.
        vb: u16,
        /// Durable up to here.
        seqno: u64,
        /// Items written for it.
        items: usize,
    },
}

/// Where trace lines go; by default nowhere.
#[derive(Default)]
pub struct Trace(Option<Box<dyn Write + Send>>);

impl Trace {
    /// Writes lines to `out`.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>) -> Self {
        Self(Some(out))
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`SimError::Trace`] if it can't be written.
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
