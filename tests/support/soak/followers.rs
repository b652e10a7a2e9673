//! One of a store's followers, in the child: it tells its parent every event, and goes back where it
//! must.
//!
//! # Invariants
//!
//! - It goes back only to the end of a snapshot that its parent knows, or to the start.
//! - It has no error: no read of the disk fails.
//! - A follower that stalls holds no items meanwhile: memory recovery can drop its cursor, not more.

use std::collections::BTreeMap;
use std::sync::Mutex;

use lowtide_checkpoint::{ResumePoint, Seqno, Vbid};
use lowtide_persistence::{Followed, Follower, FollowerEvent, Store, StoreError};

use super::lines::{At, Line};
use super::plan::{self, LONG};
use super::progress::Progress;
use super::stored::written;
use super::told::{bad, tell};
use crate::killing::draw;

/// Maximum number of events of a burst.
const BURST_MAX: u64 = 60;
/// Maximum number of writes that a pause lasts.
const PAUSE_MAX: u64 = 3_000;

/// The seqnos at which followers end, once they are known.
pub(super) type Goal = Mutex<Option<BTreeMap<Vbid, u64>>>;

/// Places of all followers.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<At, Place>);

/// Place of a follower in a vBucket.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Ends of snapshots, ascending.
    whole: Vec<ResumePoint>,
    /// A place inside a snapshot from which it resumes.
    inside: Option<ResumePoint>,
}

impl Places {
    /// Reads the places that the parent gives to its child.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut places = Self::default();
        for line in text.lines() {
            match Line::parse(line)? {
                Line::End { at, point } => places.of(at).whole.push(point),
                Line::Place { at, point } => places.of(at).inside = Some(point),
                _ => return None,
            }
        }
        Some(places)
    }

    fn of(&mut self, at: At) -> &mut Place {
        self.0.entry(at).or_default()
    }
}

impl Place {
    fn resume_point(&self) -> ResumePoint {
        let whole = self.whole.last().copied();
        self.inside.or(whole).unwrap_or(ResumePoint::START)
    }

    /// Goes back to the newest whole place at or below `to`.
    fn back(&mut self, to: Seqno) -> ResumePoint {
        self.inside = None;
        self.whole.retain(|point| point.seqno <= to);
        self.resume_point()
    }
}

pub(super) struct Reading<'a> {
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
    pub(super) goal: &'a Goal,
    pub(super) number: u64,
    pub(super) seed: u64,
    /// Whether it ends at the goal. Otherwise it ends with the store.
    pub(super) has_goal: bool,
    places: BTreeMap<Vbid, Place>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        store: &'a Store,
        progress: &'a Progress,
        goal: &'a Goal,
        places: &Places,
        number: u64,
    ) -> Self {
        let place = |vb| {
            let at = At {
                follower: number,
                vb,
            };
            (vb, places.0.get(&at).cloned().unwrap_or_default())
        };
        Self {
            store,
            progress,
            goal,
            number,
            seed: number,
            has_goal: false,
            places: plan::followed(number).into_iter().map(place).collect(),
        }
    }

    pub(super) fn run(mut self) {
        let name = format!("follower-{}", self.number);
        let from = self.places.iter();
        let from = from.map(|(&vb, place)| (vb, place.resume_point()));
        let mut follower = match self.store.follow_all(&name, from) {
            Ok(follower) => follower,
            Err(StoreError::Closed) => return,
            Err(error) => bad(format!("follower {}: {error}", self.number)),
        };
        let mut left = draw(&mut self.seed, BURST_MAX);
        loop {
            let next = if self.has_goal {
                follower.next_for(LONG)
            } else {
                follower.wait_next()
            };
            match next {
                Ok(Some(followed)) => self.take(&mut follower, &followed),
                Ok(None) if self.has_goal => bad(format!(
                    "follower {} has no event for {LONG:?}",
                    self.number
                )),
                Ok(None) | Err(StoreError::Closed) => return,
                Err(error) => bad(format!("follower {}: {error}", self.number)),
            }
            if self.has_goal && self.is_at_goal() {
                return;
            }
            if plan::stalls(self.number) {
                if left == 0 {
                    let pause = draw(&mut self.seed, PAUSE_MAX);
                    self.progress.wait_for(pause);
                    left = draw(&mut self.seed, BURST_MAX);
                } else {
                    left -= 1;
                }
            }
        }
    }

    fn take(&mut self, follower: &mut Follower, followed: &Followed) {
        let vb = followed.vb;
        let at = At {
            follower: self.number,
            vb,
        };
        let Some(place) = self.places.get_mut(&vb) else {
            bad(format!("follower {} does not follow {vb}", self.number));
        };
        match &followed.event {
            FollowerEvent::Branches(_) => tell(&[Line::count("follower-branches", 1)]),
            FollowerEvent::Snapshot(_) => tell(&[Line::count("follower-snapshots", 1)]),
            FollowerEvent::Items(items) => {
                let from_disk = items.are_from_disk();
                let items = items.iter().map(|item| Line::Item {
                    at,
                    from_disk,
                    written: written(item),
                });
                let place = follower.resume_point(vb);
                let place = place.map(|point| Line::Place { at, point });
                tell(&items.chain(place).collect::<Vec<_>>());
            }
            FollowerEvent::SnapshotEnd(point) => {
                place.inside = None;
                place.whole.push(*point);
                tell(&[Line::End { at, point: *point }]);
            }
            FollowerEvent::RolledBack { to } => {
                let point = place.back(*to);
                let to = point.seqno.0;
                tell(&[Line::Back { at, to }]);
                follower.resume_from(vb, point);
            }
            FollowerEvent::StateChanged(_) => tell(&[Line::count("follower-states", 1)]),
            event => bad(format!("follower {}, vBucket {vb}: {event:?}", self.number)),
        }
    }

    fn is_at_goal(&self) -> bool {
        let goal = self.goal.lock().expect("no panic");
        let is_there = |goal: &BTreeMap<Vbid, u64>| {
            self.places.iter().all(|(vb, place)| {
                let whole = place.whole.last().map(|point| point.seqno.0);
                whole >= goal.get(vb).copied()
            })
        };
        goal.as_ref().is_some_and(is_there)
    }
}
