//! The constants of the soak: vBuckets, writers, followers, and the options of the store.
//!
//! Everything is small, so that minutes see many compactions, memory recoveries and dropped cursors.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lowtide_checkpoint::{QuotaConfig, Vbid};
use lowtide_persistence::StoreOptions;
use lowtide_persistence::disk::Disk;
use lowtide_persistence::logstor::LogstorConfig;

use crate::killing;

pub(super) const VBUCKETS: u16 = 8;
pub(super) const WRITERS: u64 = 4;
pub(super) const FOLLOWERS: u64 = 8;
/// Number of keys of each writer in each vBucket.
pub(super) const KEYS: u64 = 60;
/// A writer's keys begin at its number times this.
const KEYS_APART: u64 = 1_000;
/// The key of writer 0 that its last write to a vBucket has.
pub(super) const LAST_KEY: u64 = KEYS_APART - 1;
pub(super) const VALUE_BYTES_MAX: u64 = 1_500;
/// Longer than anything takes. A wait that lasts this long is a lost wake-up.
pub(super) const LONG: Duration = Duration::from_secs(180);

/// Returns a key of a writer.
pub(super) const fn key(writer: u64, number: u64) -> u64 {
    writer * KEYS_APART + number
}

/// Returns the writer that alone writes the key.
pub(super) const fn writer_of(key: u64) -> u64 {
    key / KEYS_APART
}

/// Returns the name of a key in the store.
pub(super) fn name_of(key: u64) -> String {
    format!("key-{key}")
}

/// Returns the vBuckets of a follower: all, or two of them.
pub(super) fn followed(follower: u64) -> Vec<Vbid> {
    let is_narrow = matches!(follower, 4 | 5);
    let all = (0..VBUCKETS).map(Vbid);
    all.filter(|vb| !is_narrow || u64::from(vb.0) % 4 == follower % 4)
        .collect()
}

/// Returns whether a follower reads in bursts.
pub(super) const fn stalls(follower: u64) -> bool {
    follower >= 6
}

/// Returns a number other than 0 for a value; 0 stands for no document.
pub(super) fn digest(value: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    value.iter().fold(0xcbf2_9ce4_8422_2325, step) | 1
}

/// An engine of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One log for all vBuckets.
    Logstor,
    /// A file for each vBucket.
    Couchstore,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logstor => "logstor",
            Self::Couchstore => "couchstore",
        })
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "logstor" => Ok(Self::Logstor),
            "couchstore" => Ok(Self::Couchstore),
            _ => Err(format!("engine {text:?} is neither logstor nor couchstore")),
        }
    }
}

impl Engine {
    pub(super) fn options(self, disk: Arc<dyn Disk>) -> StoreOptions {
        let options = match self {
            Self::Logstor => {
                StoreOptions::new(LogstorConfig::new([7, 11]).with_segment_bytes(128 << 10))
            }
            Self::Couchstore => StoreOptions::new(killing::CONFIG),
        };
        options
            .with_disk(disk)
            .with_vbuckets(VBUCKETS)
            .with_quota(QuotaConfig::default().with_limit_bytes(1 << 20))
            .with_cache_bytes(512 << 10)
    }
}

/// The life of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It writes until it is killed.
    Run,
    /// It writes, and closes the store.
    Close {
        /// Number of writes of each writer.
        writes: u64,
    },
    /// It writes, has every follower catch up, and closes the store.
    Finish {
        /// Number of writes of each writer.
        writes: u64,
    },
    /// It only reports what is on disk.
    Read,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Close { writes } => write!(f, "close:{writes}"),
            Self::Finish { writes } => write!(f, "finish:{writes}"),
            Self::Read => f.write_str("read"),
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, writes) = text.split_once(':').unwrap_or((text, "0"));
        let writes = writes.parse().map_err(|_| format!("mode {text:?}"))?;
        match name {
            "run" => Ok(Self::Run),
            "close" => Ok(Self::Close { writes }),
            "finish" => Ok(Self::Finish { writes }),
            "read" => Ok(Self::Read),
            _ => Err(format!("mode {text:?}")),
        }
    }
}
