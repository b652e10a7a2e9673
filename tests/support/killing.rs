//! The actions of the process that is killed, and the contents its store must have then.
//!
//! The process writes a line before each action, and one with its result afterwards. So a reader of
//! all whole lines knows the acknowledged actions, and the one action that was in flight.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::couchstore::{CompactionConfig, CouchstoreConfig};

/// vBuckets that are written to.
pub const VBS: [Vbid; 2] = [Vbid(0), Vbid(1)];

/// Configuration in which files are compacted often.
pub const CONFIG: CouchstoreConfig = CouchstoreConfig::DEFAULT.with_compaction(
    CompactionConfig::DEFAULT
        .with_fragmentation_percent(Some(40))
        .with_file_bytes_min(64 << 10)
        .with_sync_bytes(16 << 10)
        .with_sort_bytes(2 << 10)
        .with_purge_age_seconds(None),
);

/// Returns a pseudo-random number below `below`, and advances `state`.
pub fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % below
}

/// One action on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Commits the batch of [`items`].
    Commit {
        /// vBucket of the batch.
        vb: Vbid,
        /// High seqno of the vBucket before.
        high: u64,
        /// Seed of the items.
        seed: u64,
    },
    /// Purges tombstones.
    Purge {
        /// vBucket of the tombstones.
        vb: Vbid,
        /// Seqno up to which they are purged.
        upto: u64,
    },
    /// Rolls back.
    Rollback {
        /// vBucket that is rolled back.
        vb: Vbid,
        /// Seqno to roll back to, or below.
        to: u64,
    },
}

impl Act {
    /// Draws the next action, for a vBucket with that high seqno.
    pub fn draw(state: &mut u64, vb: Vbid, high: u64) -> Self {
        match draw(state, 24) {
            0 | 1 => Self::Purge {
                vb,
                upto: high.saturating_sub(draw(state, 60)),
            },
            2 => Self::Rollback {
                vb,
                to: high.saturating_sub(draw(state, 12)),
            },
            _ => Self::Commit {
                vb,
                high,
                seed: draw(state, u64::MAX),
            },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let name = words.next()?;
        let vb = Vbid(words.next()?.parse().ok()?);
        let number = words.next()?.parse().ok()?;
        match name {
            "commit" => Some(Self::Commit {
                vb,
                high: number,
                seed: words.next()?.parse().ok()?,
            }),
            "purge" => Some(Self::Purge { vb, upto: number }),
            "rollback" => Some(Self::Rollback { vb, to: number }),
            _ => None,
        }
    }

    /// Returns the action's vBucket.
    #[must_use]
    pub const fn vb(self) -> Vbid {
        match self {
            Self::Commit { vb, .. } | Self::Purge { vb, .. } | Self::Rollback { vb, .. } => vb,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { vb, high, seed } => write!(f, "commit {vb} {high} {seed}"),
            Self::Purge { vb, upto } => write!(f, "purge {vb} {upto}"),
            Self::Rollback { vb, to } => write!(f, "rollback {vb} {to}"),
        }
    }
}

/// Returns the items of a commit on top of `high`.
#[must_use]
pub fn items(high: u64, seed: u64) -> Vec<Item> {
    let mut state = seed;
    let count = 1 + draw(&mut state, 12);
    let item = |n| {
        let key = Key::new(format!("key-{}", draw(&mut state, 60)).as_bytes());
        let item = match draw(&mut state, 4) {
            0 => Item::deletion(key),
            _ => {
                let length = draw(&mut state, 1500) as usize;
                let noise = std::iter::repeat_with(|| draw(&mut state, 256) as u8);
                Item::mutation(key, noise.take(length).collect::<Bytes>())
            }
        };
        Item {
            seqno: Seqno(high + n),
            ..item
        }
    };
    (1..=count).map(item).collect()
}

/// Returns the state that is committed with them.
#[must_use]
pub fn state(high: u64) -> VBucketState {
    let log = FailoverLog::new(VbUuid(9));
    VBucketState {
        snapshot_end: Seqno(high),
        ..VBucketState::new(State::Active, log)
    }
}

/// Contents of a vBucket, by seqno.
pub type Contents = BTreeMap<u64, Item>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stage {
    high: u64,
    /// Seqno of the highest tombstone purged from this history.
    purge: u64,
    /// Contents, shared between the many stages.
    contents: Arc<Contents>,
}

impl Stage {
    /// Removes tombstones.
    fn purge(&mut self, upto: u64) {
        let high = self.high;
        let gone = |seqno: u64, item: &Item| item.deleted && seqno <= upto && seqno != high;
        let highest = self
            .contents
            .iter()
            .filter(|&(&s, item)| gone(s, item))
            .map(|(&s, _)| s)
            .max();
        Arc::make_mut(&mut self.contents).retain(|&seqno, item| !gone(seqno, item));
        self.purge = self.purge.max(highest.unwrap_or_default());
    }
}

/// Maximum number of commits that a rollback goes back over: by seqnos it asks for the last few,
/// and files are compacted after some ten commits.
const STAGES_MAX: usize = 400;

/// Contents that a vBucket must have after each of its commits, the newest last.
#[derive(Clone, Debug)]
pub struct Expected(Vec<Stage>);

impl Default for Expected {
    fn default() -> Self {
        Self(vec![Stage::default()])
    }
}

impl Expected {
    fn now(&self) -> Stage {
        self.0.last().cloned().unwrap_or_default()
    }

    /// Returns the expectation after an action with a result, which is a seqno.
    ///
    /// # Panics
    ///
    /// If the action can't have that result.
    #[must_use]
    pub fn after(&self, act: Act, result: u64) -> Self {
        let mut next = self.clone();
        match act {
            Act::Commit { high, seed, .. } => {
                let mut stage = self.now();
                assert_eq!(
                    stage.high, high,
                    "it commits on top of what is there: {act}"
                );
                let contents = Arc::make_mut(&mut stage.contents);
                for item in items(high, seed) {
                    contents.retain(|_, old| old.key != item.key);
                    stage.high = item.seqno.0;
                    contents.insert(item.seqno.0, item);
                }
                assert_eq!(stage.high, result, "{act}");
                next.0.push(stage);
            }
            Act::Purge { upto, .. } => {
                let mut stage = self.now();
                stage.purge(upto);
                assert_eq!(stage.purge, result, "{act}");
                next.0.push(stage);
            }
            Act::Rollback { to, .. } => {
                assert!(result <= to, "{act} went to {result}");
                if result < self.now().high {
                    let found = self.0.iter().rposition(|stage| stage.high == result);
                    next.0.truncate(found.expect("a commit it had") + 1);
                    let mut stage = next.now();
                    stage.purge(self.now().purge);
                    next.0.push(stage);
                }
            }
        }
        let old = next.0.len().saturating_sub(STAGES_MAX);
        next.0.drain(..old);
        next
    }

    /// Returns every possible result of an action in flight, the unchanged contents included.
    #[must_use]
    pub fn possible(&self, in_flight: Option<Act>) -> Vec<Self> {
        let with = match in_flight {
            None => Vec::new(),
            Some(act @ Act::Commit { high, seed, .. }) => {
                vec![self.after(act, high + items(high, seed).len() as u64)]
            }
            Some(act @ Act::Purge { upto, .. }) => {
                let mut stage = self.now();
                stage.purge(upto);
                vec![self.after(act, stage.purge)]
            }
            // A compaction may have removed any of them.
            Some(act @ Act::Rollback { to, .. }) => {
                let highs = self
                    .0
                    .iter()
                    .map(|stage| stage.high)
                    .filter(|&high| high <= to);
                highs.map(|high| self.after(act, high)).collect()
            }
        };
        std::iter::once(self.clone()).chain(with).collect()
    }

    /// Returns `true` if the vBucket has the newest of these contents.
    #[must_use]
    pub fn is(&self, high: u64, contents: &Contents) -> bool {
        let now = self.now();
        (now.high, &*now.contents) == (high, contents)
    }
}

/// Returns the completed actions with their results, and the action in flight, from the whole lines
/// of a process.
///
/// # Panics
///
/// If the lines contradict each other.
#[must_use]
pub fn read_lines(said: &[String]) -> (Vec<(Act, u64)>, Option<Act>) {
    let (mut done, mut in_flight) = (Vec::new(), None);
    for line in said {
        match (
            line.split_once(' ').expect("two words at least"),
            in_flight.take(),
        ) {
            (("do", act), None) => in_flight = Some(Act::parse(act).expect("an act")),
            (("did", result), Some(act)) => done.push((act, result.parse().expect("a seqno"))),
            // The action was not possible, and nothing has changed.
            (("not", _), Some(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    (done, in_flight)
}
