//! Opening of an inspected store over a disk that keeps writes in memory: the store itself is only
//! read.

use std::sync::Arc;

use super::inspect::LogDirectory;
use super::overlay_disk::OverlayDisk;
use crate::contract::{Engine, EngineError, RecoveryReport};
use crate::logstor::config::LogstorConfig;
use crate::logstor::engine::Logstor;

impl LogDirectory {
    /// Returns what opening the store would report. It is opened over a disk that keeps in memory
    /// what opening would write.
    ///
    /// # Errors
    /// Same as [`Logstor::open`].
    pub fn opening(&self) -> Result<RecoveryReport, EngineError> {
        let (engine, report) = self.open_over()?;
        engine.close()?;
        Ok(report)
    }

    /// Opens the store over a disk that keeps writes in memory.
    ///
    /// # Errors
    /// Same as [`Logstor::open`].
    pub(in crate::logstor) fn open_over(&self) -> Result<(Logstor, RecoveryReport), EngineError> {
        let overlay = Arc::new(OverlayDisk::new(Arc::clone(self.disk())));
        // Without this, closing would write an index image into memory.
        let config = LogstorConfig {
            image_bytes: u64::MAX,
            ..self.config()
        };
        Logstor::open(overlay, self.dir(), config)
    }
}
