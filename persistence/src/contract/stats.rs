//! The figures of engines and vBuckets, typed and with units.
//!
//! Taking them reads no file and loads no index, so a host may ask often.

use lowtide_checkpoint::Seqno;

/// A vBucket's figures at the last commit. O(1) for every engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VBucketInfo {
    /// The highest seqno ever committed.
    pub high: Seqno,
    /// The highest seqno of a tombstone purged from this history; 0 if none.
    pub purge: Seqno,
    /// The number of live documents and prepares.
    pub items: u64,
    /// The number of tombstones.
    pub deleted: u64,
}

impl VBucketInfo {
    /// Returns the figures of a vBucket without tombstones, from which none was purged.
    #[must_use]
    pub const fn new(high: Seqno, items: u64) -> Self {
        Self {
            high,
            purge: Seqno::ZERO,
            items,
            deleted: 0,
        }
    }

    /// Sets the number of tombstones.
    #[must_use]
    pub const fn with_deleted(self, deleted: u64) -> Self {
        Self { deleted, ..self }
    }

    /// Sets the highest seqno of a purged tombstone.
    #[must_use]
    pub const fn with_purge(self, purge: Seqno) -> Self {
        Self { purge, ..self }
    }
}

/// The unit of a [`Figure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A number of things or events.
    Count,
    /// Bytes.
    Bytes,
}

/// A figure with its stable name and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figure {
    /// The name, unique within an engine.
    pub name: &'static str,
    /// The value.
    pub value: u64,
    /// The value's unit.
    pub unit: Unit,
}

impl Figure {
    /// Returns a number of things or events.
    #[must_use]
    pub const fn count(name: &'static str, value: u64) -> Self {
        Self {
            name,
            value,
            unit: Unit::Count,
        }
    }

    /// Returns a number of bytes.
    #[must_use]
    pub const fn bytes(name: &'static str, value: u64) -> Self {
        Self {
            name,
            value,
            unit: Unit::Bytes,
        }
    }
}

/// The figures that every engine has, with their stable names. Counters of events begin at 0 when
/// the store is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommonStats {
    /// The number of vBuckets (`vbuckets`).
    pub vbuckets: u64,
    /// The number of commits (`commits`).
    pub commits: u64,
    /// The number of syncs of files and of the directory (`syncs`).
    pub syncs: u64,
    /// Bytes written to files (`bytes-written`).
    pub written_bytes: u64,
    /// Bytes of the store's files (`file-bytes`).
    pub file_bytes: u64,
    /// Bytes in the files that the newest commits reach, of vBuckets that are loaded
    /// (`live-bytes`).
    pub live_bytes: u64,
    /// Memory of the cache (`cache-bytes`).
    pub cache_bytes: u64,
    /// The number of tombstones purged (`tombstones-purged`).
    pub tombstones_purged: u64,
}

impl CommonStats {
    const fn figures(&self) -> [Figure; 8] {
        [
            Figure::bytes("bytes-written", self.written_bytes),
            Figure::bytes("cache-bytes", self.cache_bytes),
            Figure::count("commits", self.commits),
            Figure::bytes("file-bytes", self.file_bytes),
            Figure::bytes("live-bytes", self.live_bytes),
            Figure::count("syncs", self.syncs),
            Figure::count("tombstones-purged", self.tombstones_purged),
            Figure::count("vbuckets", self.vbuckets),
        ]
    }
}

/// The figures of a store: those that every engine has as fields, the engine's own as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// The figures that every engine has.
    pub common: CommonStats,
    /// The engine's own figures.
    pub own: Vec<Figure>,
}

impl EngineStats {
    /// Returns all figures, ascending by name.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = [self.common.figures().as_slice(), &self.own].concat();
        figures.sort_by_key(|figure| figure.name);
        figures
    }

    /// Returns the value of a figure by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        let figures = self.figures();
        let figure = figures.iter().find(|figure| figure.name == name)?;
        Some(figure.value)
    }
}

#[cfg(test)]
impl std::ops::Index<&str> for EngineStats {
    type Output = u64;

    fn index(&self, name: &str) -> &u64 {
        match name {
            "bytes-written" => &self.common.written_bytes,
            "cache-bytes" => &self.common.cache_bytes,
            "commits" => &self.common.commits,
            "file-bytes" => &self.common.file_bytes,
            "live-bytes" => &self.common.live_bytes,
            "syncs" => &self.common.syncs,
            "tombstones-purged" => &self.common.tombstones_purged,
            "vbuckets" => &self.common.vbuckets,
            _ => {
                let own = self.own.iter().find(|figure| figure.name == name);
                &own.expect("a figure of this engine").value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_all_engines_and_own_ones_are_listed_by_name() {
        let stats = EngineStats {
            common: CommonStats {
                commits: 3,
                ..CommonStats::default()
            },
            own: vec![
                Figure::count("segments", 2),
                Figure::bytes("debt-bytes", 10),
            ],
            ..EngineStats::default()
        };
        let figures = stats.figures();
        assert_eq!(figures.len(), 10);
        assert!(figures.is_sorted_by_key(|figure| figure.name));
        assert_eq!(stats.get("commits"), Some(3));
        assert_eq!(stats.get("debt-bytes"), Some(10));
        assert_eq!(stats.get("unknown"), None);
        for figure in figures {
            assert_eq!(figure.unit == Unit::Bytes, figure.name.contains("bytes"));
            assert_eq!(figure.value, stats[figure.name]);
        }
    }
}
