//! InvariantVerdict on one invariant.
//!
//! A verdict counts its checks: an invariant that was never checked proves nothing.

use serde::Serialize;

/// Number of violations that are kept in full; further ones are only counted.
const KEPT_MAX: usize = 5;

/// InvariantVerdict on one invariant.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct InvariantVerdict {
    /// Number of the invariant in `docs/invariants.md`.
    pub invariant: &'static str,
    /// Statement of the invariant.
    pub what: &'static str,
    /// Number of checks.
    pub checked: u64,
    /// Number of violations.
    pub violations: u64,
    /// The first violations.
    pub told: Vec<String>,
}

impl InvariantVerdict {
    /// Creates a verdict without checks.
    #[must_use]
    pub fn new(invariant: &'static str, what: &'static str) -> Self {
        Self {
            invariant,
            what,
            checked: 0,
            violations: 0,
            told: Vec::new(),
        }
    }

    /// Counts one check. `violation` describes the violation, if any.
    pub fn check(&mut self, violation: Option<String>) {
        self.checked += 1;
        if let Some(violation) = violation {
            self.violations += 1;
            if self.told.len() < KEPT_MAX {
                self.told.push(violation);
            }
        }
    }

    /// Returns the number in the name, so W2 sorts before W10.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.invariant
            .trim_start_matches('W')
            .parse()
            .unwrap_or(u32::MAX)
    }

    /// Returns `true` if there is no violation.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations == 0
    }
}
