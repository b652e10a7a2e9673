//! Making an image as a job: what the last image knows and what was appended since go in; a file comes out.
//!
//! ```text
//! note where every segment ends, while nobody appends | read what the last image does not cover, segment by segment |
//! merge it with the last image's rows, block by block | directory, sync, rename, sync | remove the last image
//! ```
//!
//! Always: segments it has yet to read are held, so that they are not freed; those the last image covers are not, and may
//! be freed at any time: an image that speaks of them is true all the same. A job that is dropped or fails leaves no
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::contract::{Budget, CompactionReport, EngineError, Job, Progress};
use crate::logstor::found::{self, FoundItem, FoundState};
use crate::logstor::manifest::{Lineage, Sketch};
use crate::logstor::scan::Frame;
use crate::logstor::segment::Segment;
use crate::logstor::store::{BorrowedStore, Store};

use super::directory::{Contents, Covered, Directory, store_id};
use super::sections::Sections;
use super::{Claim, Image};

/// A segment of which the last image does not know everything.
#[derive(Debug)]
struct Unread {
    segment: Arc<Segment>,
    /// Where it ends; `None` if it has no more than one writer, who has gone.
    end: Option<u32>,
    is_closed: bool,
    /// The last image's word, if it is of this use.
    covered: Option<Covered>,
}

#[derive(Debug)]
enum Stage {
    Begin,
    Read,
    Write(Box<Sections>),
    Over,
}

#[derive(Debug)]
pub(in crate::logstor) struct ImageJob {
    store: BorrowedStore,
    claim: Claim,
    stage: Stage,
    sketch: Sketch,
    directory: Directory,
    last: Option<Arc<Image>>,
    unread: Vec<Unread>,
    /// By vBucket: whose records count.
    items: BTreeMap<u16, Vec<FoundItem>>,
    /// By epoch.
    states: BTreeMap<u32, FoundState>,
    /// vBuckets of which the last image does not know what counts now.
    renewed: BTreeSet<u16>,
    of_epoch: BTreeMap<u32, u16>,
    done: u64,
}

impl ImageJob {
    pub(in crate::logstor) fn new(store: &Arc<Store>, claim: Claim) -> Self {
        let sketch = store.log.manifest.lock().sketch().clone();
        let directory = Directory::new(store_id(store.shared.hash_key), 0, 0);
        let last = Claim::newest(store);
        Self {
            store: BorrowedStore::of(store),
            claim,
            stage: Stage::Begin,
            sketch,
            directory,
            last,
            unread: Vec::new(),
            items: BTreeMap::new(),
            states: BTreeMap::new(),
            renewed: BTreeSet::new(),
            of_epoch: BTreeMap::new(),
            done: 0,
        }
    }

    /// Notes where every segment ends.
    fn begin(&mut self, store: &Store) {
        let uses = store.writer.at_rest(|active| {
            // Nobody copies or frees, either: all appends are settled.
            let outputs = store.outputs.lock();
            self.sketch = store.log.manifest.lock().sketch().clone();
            self.directory.number = store.log.last_number();
            self.directory.next_generation = store.log.segments.next_generation();
            let open: BTreeMap<u32, u32> = active.into_iter().chain(outputs.ends()).collect();
            let uses = store.log.segments.in_use().into_iter();
            let uses = uses.map(|(segment, closed)| {
                let end = closed.or_else(|| open.get(&segment.id).copied());
                (segment, end, closed.is_some())
            });
            uses.collect::<Vec<_>>()
        });
        let vbuckets = self.sketch.vbuckets.iter();
        self.of_epoch = vbuckets
            .flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)))
            .collect();
        let last = self.last.as_ref().map(|last| &last.directory);
        let is_known = |vb: u16, lineage: &Lineage| {
            last.and_then(|last| last.section(vb))
                .is_some_and(|section| section.lineage == *lineage)
        };
        let vbuckets = self.sketch.vbuckets.iter();
        let renewed = vbuckets.filter(|(vb, entry)| !is_known(**vb, &entry.lineage));
        self.renewed = renewed.map(|(vb, _)| *vb).collect();
        for (segment, end, is_closed) in uses {
            let covered = last.and_then(|last| last.covered(segment.id)).cloned();
            let covered = covered.filter(|covered| covered.generation == segment.generation);
            let is_renewed = |covered: &Covered| {
                let mut vbuckets = covered
                    .epochs
                    .iter()
                    .filter_map(|epoch| self.of_epoch.get(epoch));
                vbuckets.any(|vb| self.renewed.contains(vb))
            };
            match covered {
                Some(covered) if Some(covered.bytes) == end && !is_renewed(&covered) => {
                    self.directory.segments.push(Covered {
                        is_closed,
                        ..covered
                    });
                }
                covered => self.unread.push(Unread {
                    segment,
                    end,
                    is_closed,
                    covered,
                }),
            }
        }
    }

    fn read(&mut self, store: &Store, unread: &Unread) -> Result<(), EngineError> {
        let Unread {
            segment,
            end,
            is_closed,
            covered,
        } = unread;
        let hash_key = store.shared.hash_key;
        let bytes = segment.read(0, end.unwrap_or(segment.bytes) as usize)?;
        // Where it ends is known but for a use that is over: it may have been cut off.
        let valid = |generation| {
            self.sketch
                .valid_bytes(segment.id, generation)
                .filter(|_| end.is_none())
        };
        let found = found::in_segment(segment, &bytes, hash_key, None, valid)?;
        // It was not written to yet, or its end is its beginning, or it was being freed when something failed.
        let is_free = found.free.is_some() || found.generation != Some(segment.generation);
        let (Some(first), false) = (found.frames.first(), is_free) else {
            return Ok(());
        };
        let contents = Contents::of(&first.header);
        let is_large = matches!(contents, Contents::Large(_));
        let found_end = found.frames.last().map_or(0, Frame::end);
        // What is damaged may be of vBuckets that were dropped.
        let is_somebodys = |frame: &&Frame| {
            let told = frame.header.epochs();
            told.is_none_or(|told| self.of_epoch.range(told).next().is_some())
        };
        let mut damaged = found.frames.iter().filter(|frame| !frame.is_whole);
        let damaged = damaged.find(is_somebodys).map(|frame| frame.offset);
        let is_short = end.is_some_and(|end| end != found_end) && !is_large;
        if let Some(at) = damaged.or(is_short.then_some(found_end)) {
            return Err(segment.corrupt(at, "a frame that was acknowledged is damaged"));
        }
        let mut items = found.items;
        if let Contents::Large(piece) = contents
            && piece.piece == 0
            // Without the others it has no record: its first piece would be gone, had it been freed.
            && segment.rest().len() as u32 + 1 == piece.pieces
        {
            items.push(found::large(segment, piece.pieces, piece.number, hash_key)?);
        }
        let known = covered.as_ref().map_or(0, |covered| covered.bytes);
        let epochs = items
            .iter()
            .map(|item| item.epoch)
            .chain(found.states.iter().map(|state| state.epoch));
        let epochs: BTreeSet<u32> = epochs.collect();
        for item in items {
            let Some(vb) = self.of_epoch.get(&item.epoch) else {
                continue;
            };
            let entry = self.sketch.vbuckets.get(vb);
            let counts = entry.is_some_and(|entry| entry.lineage.contains(item.epoch, item.seqno));
            if counts && (item.at.offset >= known || self.renewed.contains(vb)) {
                self.items.entry(*vb).or_default().push(item);
            }
        }
        for state in found.states {
            if self
                .states
                .get(&state.epoch)
                .is_none_or(|known| state.is_after(known))
            {
                self.states.insert(state.epoch, state);
            }
        }
        self.directory.segments.push(Covered {
            segment: segment.id,
            generation: segment.generation,
            bytes: if is_large { segment.bytes } else { found_end },
            is_closed: *is_closed || end.is_none(),
            contents,
            epochs: epochs.into_iter().collect(),
        });
        Ok(())
    }

    fn write(&mut self, store: &Store) -> Result<Box<Sections>, EngineError> {
        let number = Claim::number(store)?;
        self.directory
            .segments
            .sort_unstable_by_key(|covered| covered.segment);
        let directory = std::mem::replace(&mut self.directory, Directory::new([0; 16], 0, 0));
        let (items, states) = (
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.states),
        );
        let last = self.last.take();
        let (shared, sketch) = (&store.shared, &self.sketch);
        Ok(Box::new(Sections::create(
            shared, number, directory, last, sketch, items, states,
        )?))
    }

    fn advance(&mut self, store: &Store, budget: Budget) -> Result<(), EngineError> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Begin => {
                self.begin(store);
                Stage::Read
            }
            Stage::Read => match self.unread.pop() {
                Some(unread) => {
                    self.read(store, &unread)?;
                    self.done += 1;
                    Stage::Read
                }
                None => Stage::Write(self.write(store)?),
            },
            Stage::Write(mut sections) => {
                if sections.step(budget)? {
                    Stage::Write(sections)
                } else {
                    let image = sections.finish(&store.shared)?;
                    store.shared.counters.images.add(1);
                    self.claim.install(store, image)?;
                    Stage::Over
                }
            }
            Stage::Over => Stage::Over,
        };
        Ok(())
    }
}

impl ImageJob {
    /// A step, for who has the store.
    ///
    /// # Errors
    /// As [`Job::step`].
    pub(in crate::logstor) fn step_of(
        &mut self,
        store: &Store,
        budget: Budget,
    ) -> Result<Progress, EngineError> {
        if let Err(error) = self.advance(store, budget) {
            self.unread.clear();
            self.claim.failed(store, &error);
            return Err(error);
        }
        let left = self.unread.len() as u64;
        Ok(match &self.stage {
            Stage::Over => Progress::Done(CompactionReport::default()),
            Stage::Begin | Stage::Read => Progress::Working {
                stage: "read-log",
                done: self.done,
                of: self.done + left,
            },
            Stage::Write(sections) => {
                let (done, of) = sections.progress();
                Progress::Working {
                    stage: "write-image",
                    done,
                    of,
                }
            }
        })
    }
}

impl Job for ImageJob {
    fn step(&mut self, budget: Budget) -> Result<Progress, EngineError> {
        let borrowed = self.store.clone();
        borrowed.step(|store| self.step_of(store, budget))
    }
}

impl Drop for ImageJob {
    fn drop(&mut self) {
        let Stage::Write(mut sections) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        self.store.end(|store| {
            if store.is_none() {
                // The directory may be another store's, and a file of that name, too.
                sections.leave_file();
            }
            drop(sections);
        });
    }
}
