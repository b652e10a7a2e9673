//! What must hold, one file each, numbered as in `docs/invariants.md`.
//!
//! Some are looked at while the simulation runs, the others when it has come to rest. Each counts what it checked: an
//! invariant that checked nothing proves nothing.

use serde::Serialize;

/// How many violations are told in full; more are only counted.
const TOLD_MAX: usize = 5;

/// What was found of one invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Its number in `docs/invariants.md`.
    pub invariant: &'static str,
    /// What must hold.
    pub what: &'static str,
    /// How many things were checked.
    pub checked: u64,
    /// How many were not as they must be.
    pub violations: u64,
    /// The first of them.
    pub told: Vec<String>,
}

impl Verdict {
    /// A verdict on which nothing has been checked yet.
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

    /// Takes note of one check; `violation` says what is wrong.
    pub fn check(&mut self, violation: Option<String>) {
        self.checked += 1;
        if let Some(violation) = violation {
            self.violations += 1;
            if self.told.len() < TOLD_MAX {
                self.told.push(violation);
            }
        }
    }

    /// The number in its name: W2 comes before W10.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.invariant
            .trim_start_matches('W')
            .parse()
            .unwrap_or(u32::MAX)
    }

    /// Whether it held wherever it was looked at.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations == 0
    }
}
