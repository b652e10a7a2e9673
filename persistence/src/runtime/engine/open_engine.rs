//! Opening an engine: the first time, and again after a failure.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::contract::{Engine, EngineError, RecoveryReport};
use crate::couchstore::{Couchstore, CouchstoreConfig};
use crate::disk::Disk;
use crate::logstor::{Logstor, LogstorConfig};

/// A way to open an engine in a directory. A store uses it when it is opened, and again after a
/// failure of the engine.
///
/// A program with an engine of its own implements it. An opening must return what an earlier engine
/// from the same directory had acknowledged.
pub trait OpenEngine: Send + Sync + fmt::Debug + 'static {
    /// Opens the engine. The engine that was opened before, if any, is closed by now.
    ///
    /// # Errors
    /// Any failure; the store reports it, or tries again after a pause if it was open before.
    fn open(
        &self,
        disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<(Arc<dyn Engine>, RecoveryReport), EngineError>;
}

impl OpenEngine for LogstorConfig {
    fn open(
        &self,
        disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<(Arc<dyn Engine>, RecoveryReport), EngineError> {
        let (engine, report) = Logstor::open(disk, dir, *self)?;
        Ok((Arc::new(engine), report))
    }
}

impl OpenEngine for CouchstoreConfig {
    fn open(
        &self,
        disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<(Arc<dyn Engine>, RecoveryReport), EngineError> {
        let (engine, report) = Couchstore::open(disk, dir, *self)?;
        Ok((Arc::new(engine), report))
    }
}
