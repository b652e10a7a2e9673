//! The threads of a store: flushers, upkeep, memory, filters of keys. Each is one function that
//! returns when the store stops.

pub(super) mod filters;
pub(super) mod flush;
mod flushing;
mod leading;
pub(super) mod memory;
pub(super) mod upkeep;

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::error::StoreError;
use super::shared::Shared;

/// Starts a thread of the store.
pub(super) fn start(
    name: &str,
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let shared = Arc::clone(shared);
    let name = format!("lowtide-{name}");
    Builder::new()
        .name(name.clone())
        .spawn(move || run(&shared))
        .map_err(|source| StoreError::Thread { name, source })
}
