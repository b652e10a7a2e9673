//! What a foreign client is like: what it asks of its connections, how fast it reads, what it keeps, whom it follows.
//!
//! Everything is drawn from one stream of chance, in a fixed order, when the client is made.

use super::position::Manners;
use crate::sim::oracle::Sees;
use crate::sim::rng::SimRng;

/// Which copies a client likes to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Prefers {
    /// The active.
    Actives,
    /// A replica, if there is one.
    Replicas,
    /// Any copy.
    Any,
}

/// What a client asks to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Asks {
    /// Everything, without a filter.
    Everything,
    /// The default collection, by its id.
    Default,
    /// The default scope.
    Scope,
    /// The other collection alone.
    Other,
    /// Both collections, by their ids.
    Both,
    /// Whatever there is for a connection without Collections.
    Bare,
}

impl Asks {
    /// The JSON of its stream requests; empty for none.
    pub(super) const fn filter(self) -> &'static str {
        match self {
            Self::Everything | Self::Bare => "",
            Self::Default => r#"{"collections":["0"]}"#,
            Self::Scope => r#"{"scope":"0"}"#,
            Self::Other => r#"{"collections":["8"]}"#,
            Self::Both => r#"{"collections":["0","8"]}"#,
        }
    }

    /// The collections that it gets to see.
    pub(in crate::sim) const fn sees(self) -> Sees {
        match self {
            Self::Everything | Self::Both => Sees::Everything,
            Self::Default | Self::Scope | Self::Bare => Sees::Default,
            Self::Other => Sees::Others,
        }
    }

    /// Its name in pictures.
    pub(in crate::sim) const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Default => "collection 0",
            Self::Scope => "scope 0",
            Self::Other => "collection 8",
            Self::Both => "collections 0 and 8",
            Self::Bare => "no collections",
        }
    }
}

/// One client's character.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Temper {
    pub(in crate::sim) asks: Asks,
    pub(in crate::sim) prefers: Prefers,
    /// Flow-control buffer; 0 for none.
    pub(super) buffer_bytes: u32,
    /// It acknowledges when so much of the buffer is used up, in thousandths.
    pub(super) acknowledges_permille: u32,
    /// It reads so many bytes at once.
    pub(in crate::sim) read_bytes: usize,
    /// The longest it waits before it reads, in virtual microseconds.
    pub(in crate::sim) pause_micros: u64,
    /// Changes its journal keeps; 0 for no journal.
    pub(super) keeps: usize,
    pub(super) manners: Manners,
    /// Its connections' options.
    pub(super) marker_v2_2: bool,
    pub(super) delete_times: bool,
    pub(super) end_on_close: bool,
    pub(super) one_backfill: bool,
    pub(super) noop: bool,
    /// Its streams' flags: an unknown branch is refused even at seqno 0.
    pub(super) strict_uuid: bool,
    /// Of its streams so many in a thousand are not live from the start.
    pub(super) detours_permille: u64,
    /// It takes so many in a thousand of the vBuckets.
    pub(in crate::sim) share_permille: u64,
}

impl Temper {
    /// Whether the next stream is not to be live.
    pub(in crate::sim) fn wants_detour(&self, rng: &mut SimRng) -> bool {
        rng.permille(self.detours_permille)
    }

    /// Draws a client's.
    pub(in crate::sim) fn draw(rng: &mut SimRng) -> Self {
        use Asks::{Bare, Both, Default, Everything, Other, Scope};
        let mut of = |choices: &[u64]| {
            choices
                .get(rng.below(choices.len()))
                .copied()
                .unwrap_or_default()
        };
        let asks = match of(&[0, 0, 0, 0, 1, 1, 2, 3, 4, 5]) {
            0 => Everything,
            1 => Bare,
            2 => Default,
            3 => Scope,
            4 => Other,
            _ => Both,
        };
        let prefers = match of(&[0, 1, 2]) {
            0 => Prefers::Actives,
            1 => Prefers::Replicas,
            _ => Prefers::Any,
        };
        let buffer_bytes = of(&[0, 100, 500, 2_000, 10_000, 1 << 20]) as u32;
        let acknowledges_permille = of(&[200, 500, 800]) as u32;
        let read_bytes = of(&[300, 1_000, 4_000, 1 << 16]) as usize;
        let pause_micros = of(&[200, 1_000, 4_000]);
        let keeps = of(&[0, 40, 1_000, 1 << 20]) as usize;
        let mut flag = || of(&[0, 1]) == 1;
        let manners = Manners {
            names_newest: flag(),
            names_range: flag(),
        };
        let (marker_v2_2, delete_times) = (flag(), flag());
        let (end_on_close, one_backfill, noop, strict_uuid) = (flag(), flag(), flag(), flag());
        let (detours_permille, share_permille) = (of(&[0, 100, 400]), of(&[250, 500, 1_000]));
        Self {
            asks,
            prefers,
            buffer_bytes,
            acknowledges_permille,
            read_bytes,
            pause_micros,
            keeps,
            manners,
            marker_v2_2,
            delete_times,
            end_on_close,
            one_backfill,
            noop,
            strict_uuid,
            detours_permille,
            share_permille,
        }
    }
}
