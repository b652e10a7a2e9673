//! Properties of a foreign client: the options of its connections, its reading speed, its journal,
//! and the nodes that it prefers.
//!
//! All are drawn from one random stream, in a fixed order, when the client is created.

use lowtide_checkpoint::internal::Invariant;

use super::position::Manners;
use crate::sim::oracle::Sees;
use crate::sim::rng::SimRng;

/// Copies that a client prefers to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Prefers {
    /// The active.
    Actives,
    /// A replica, if there is one.
    Replicas,
    /// Any copy.
    Any,
}

/// Collections that a client requests.
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
    /// No filter, on a connection without Collections.
    Bare,
}

impl Asks {
    /// Returns the JSON filter of its stream requests; empty for none.
    pub(super) const fn filter(self) -> &'static str {
        match self {
            Self::Everything | Self::Bare => "",
            Self::Default => r#"{"collections":["0"]}"#,
            Self::Scope => r#"{"scope":"0"}"#,
            Self::Other => r#"{"collections":["8"]}"#,
            Self::Both => r#"{"collections":["0","8"]}"#,
        }
    }

    /// Returns the collections that it sees.
    pub(in crate::sim) const fn sees(self) -> Sees {
        match self {
            Self::Everything | Self::Both => Sees::Everything,
            Self::Default | Self::Scope | Self::Bare => Sees::Default,
            Self::Other => Sees::Others,
        }
    }

    /// Returns its name in pictures.
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

/// Properties of one client.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Temper {
    pub(in crate::sim) asks: Asks,
    pub(in crate::sim) prefers: Prefers,
    /// Flow-control buffer; 0 for none.
    pub(super) buffer_bytes: u32,
    /// Share of the buffer, in thousandths, after which it acknowledges.
    pub(super) acknowledges_permille: u32,
    /// Number of bytes that it reads at once.
    pub(in crate::sim) read_bytes: usize,
    /// Longest pause before a read, in virtual microseconds.
    pub(in crate::sim) pause_micros: u64,
    /// Number of changes in its journal; 0 for no journal.
    pub(super) keeps: usize,
    pub(super) manners: Manners,
    /// Options of its connections.
    pub(super) marker_v2_2: bool,
    pub(super) delete_times: bool,
    pub(super) end_on_close: bool,
    pub(super) one_backfill: bool,
    pub(super) noop: bool,
    /// Flag of its stream requests: an unknown branch is refused even at seqno 0.
    pub(super) strict_uuid: bool,
    /// Thousandths of its streams that are not live from the start.
    pub(super) detours_permille: u64,
    /// Thousandths of the vBuckets that it follows.
    pub(in crate::sim) share_permille: u64,
}

impl Temper {
    /// Returns `true` if the next stream is not live.
    pub(in crate::sim) fn wants_detour(&self, rng: &mut SimRng) -> bool {
        rng.permille(self.detours_permille)
    }

    /// Draws the properties of a client.
    pub(in crate::sim) fn draw(rng: &mut SimRng) -> Self {
        use Asks::{Bare, Both, Default, Everything, Other, Scope};
        let mut of = |choices: &[u64]| {
            let chosen = rng.pick(choices).copied();
            // 0 draws the first kind, or leaves a part out.
            chosen
                .expected("W8", "every list has a choice")
                .unwrap_or(0)
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
        let marker_v2_2 = flag();
        let delete_times = flag();
        let end_on_close = flag();
        let one_backfill = flag();
        let noop = flag();
        let strict_uuid = flag();
        let detours_permille = of(&[0, 100, 400]);
        let share_permille = of(&[250, 500, 1_000]);
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
