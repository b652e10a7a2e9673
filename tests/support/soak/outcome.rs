//! The outcome of a soak: counts by name, or the first violation.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of a soak, by name.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub(super) fn add(&mut self, name: &str, number: u64) {
        match self.0.get_mut(name) {
            Some(count) => *count += number,
            None => _ = self.0.insert(name.to_owned(), number),
        }
    }

    /// Returns a count; 0 for a name that never occurred.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Returns the number of calls of the disk that failed.
    #[must_use]
    pub fn disk_failures(&self) -> u64 {
        let failures = self.0.iter().filter(|(name, _)| name.starts_with("disk-"));
        failures.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.0 {
            writeln!(f, "{name:<28} {count}")?;
        }
        Ok(())
    }
}

/// Something that a store must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}
