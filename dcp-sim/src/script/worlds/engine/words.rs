//! Words for the outcomes of engine calls.

use lowtide_persistence::EngineError;

use crate::script::worlds::print::Output;

pub(super) const POWER_LOST: &str = "power-lost";

pub(super) const CLOSED: &str = "closed";

/// The engine violates an invariant.
pub(super) const INTERNAL: &str = "internal";

pub(super) const UNKNOWN_SNAPSHOT: &str = "unknown-snapshot";

pub(super) fn nothing(result: Result<(), EngineError>) -> Output {
    result.map(|()| Vec::new()).map_err(kind)
}

pub(super) fn kind(error: EngineError) -> &'static str {
    error.kind()
}
