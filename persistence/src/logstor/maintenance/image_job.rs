//! Making of an index image as a job: the last image's rows are merged with what was appended
//! since.
//!
//! ```text
//! note the end of every segment, while nothing is appended
//! | read what the last image does not cover, segment by segment, and sort it in bounded memory
//! | merge it with the last image's rows, block by block
//! | directory, sync, rename, sync | remove the last image
//! ```
//!
//! # Invariants
//!
//! Segments that are left to read are held, so that they are not freed. Segments that the last
//! image covers are not held, and may be freed at any time: an image that covers them is true all
//! the same (L20). A job that is dropped or fails leaves no file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::image_schedule::ImageClaim;
use super::state::Maintenance;
use super::store_lease::StoreLease;
use crate::contract::{Budget, CompactionReport, EngineError, Job, JobProgress, JobStage};
use crate::logstor::format::{ScannedFrame, to_u32, to_u64, to_usize};
use crate::logstor::index_image::{
    CoveredSegment, Image, ImageDirectory, RecordSorter, SectionWriter, SegmentContents, store_id,
};
use crate::logstor::log::{
    Catalog, Lineage, ScannedState, Segment, StoreContext, scan_large_record, scan_segment,
};

/// A segment of which the last image does not know everything.
#[derive(Debug)]
struct Unread {
    segment: Arc<Segment>,
    /// End of its frames; `None` if its writer abandoned it.
    end: Option<u32>,
    is_closed: bool,
    /// The part that the last image covers, if it is of this use.
    covered: Option<CoveredSegment>,
}

#[derive(Debug)]
enum Stage {
    Begin,
    /// With the records that count.
    Read(RecordSorter),
    Write(Box<SectionWriter>),
    Over,
}

#[derive(Debug)]
pub(super) struct ImageJob {
    lease: StoreLease,
    claim: ImageClaim,
    stage: Stage,
    catalog: Catalog,
    directory: ImageDirectory,
    last: Option<Arc<Image>>,
    unread: Vec<Unread>,
    /// The newest state of each epoch.
    states: BTreeMap<u32, ScannedState>,
    /// vBuckets whose lineage differs from the last image's.
    renewed: BTreeSet<u16>,
    vb_of_epoch: BTreeMap<u32, u16>,
    done: u64,
}

impl ImageJob {
    pub(super) fn new(maintenance: &Arc<Maintenance>, claim: ImageClaim) -> Self {
        let store = &maintenance.store;
        let catalog = store.log.manifest.lock().catalog().clone();
        let directory = ImageDirectory::new(store_id(store.context.hash_key), 0, 0);
        let last = claim.newest();
        Self {
            lease: StoreLease::of(maintenance),
            claim,
            stage: Stage::Begin,
            catalog,
            directory,
            last,
            unread: Vec::new(),
            states: BTreeMap::new(),
            renewed: BTreeSet::new(),
            vb_of_epoch: BTreeMap::new(),
            done: 0,
        }
    }

    /// Notes where every segment ends.
    fn begin(&mut self, maintenance: &Maintenance) {
        let store = &maintenance.store;
        let uses = store.commits.with_commits_paused(|active| {
            // Nothing is copied or freed, either: all appends are settled.
            let outputs = maintenance.outputs.lock();
            self.catalog = store.log.manifest.lock().catalog().clone();
            self.directory.append_seqno = store.log.last_append_seqno();
            self.directory.next_generation = store.log.segments.next_generation();
            let open: BTreeMap<u32, u32> = active.into_iter().chain(outputs.ends()).collect();
            let uses = store.log.segments.in_use().into_iter();
            let uses = uses.map(|(segment, closed)| {
                let end = closed.or_else(|| open.get(&segment.id).copied());
                (segment, end, closed.is_some())
            });
            uses.collect::<Vec<_>>()
        });
        let vbuckets = self.catalog.vbuckets.iter();
        self.vb_of_epoch = vbuckets
            .flat_map(|(&vb, entry)| entry.lineage.epochs().map(move |epoch| (epoch, vb)))
            .collect();
        let last = self.last.as_ref().map(|last| &last.directory);
        let is_known = |vb: u16, lineage: &Lineage| {
            last.and_then(|last| last.section(vb))
                .is_some_and(|section| section.lineage == *lineage)
        };
        let vbuckets = self.catalog.vbuckets.iter();
        let renewed = vbuckets.filter(|(vb, entry)| !is_known(**vb, &entry.lineage));
        self.renewed = renewed.map(|(vb, _)| *vb).collect();
        for (segment, end, is_closed) in uses {
            let covered = last.and_then(|last| last.covered(segment.id)).cloned();
            let covered = covered.filter(|covered| covered.generation == segment.generation);
            let is_renewed = |covered: &CoveredSegment| {
                let mut vbuckets = covered
                    .epochs
                    .iter()
                    .filter_map(|epoch| self.vb_of_epoch.get(epoch));
                vbuckets.any(|vb| self.renewed.contains(vb))
            };
            match covered {
                Some(covered) if Some(covered.bytes) == end && !is_renewed(&covered) => {
                    self.directory.segments.push(CoveredSegment {
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

    fn read(
        &mut self,
        context: &StoreContext,
        unread: &Unread,
        sorter: &mut RecordSorter,
    ) -> Result<(), EngineError> {
        let Unread {
            segment,
            end,
            is_closed,
            covered,
        } = unread;
        let hash_key = context.hash_key;
        let bytes = segment.read(0, to_usize(end.unwrap_or(segment.bytes)))?;
        // The end is known, except of a segment that was abandoned: that may have been cut off.
        let valid = |generation| {
            self.catalog
                .valid_bytes(segment.id, generation)
                .filter(|_| end.is_none())
        };
        let found = scan_segment(segment, &bytes, hash_key, None, valid)?;
        // It has no frame yet, or a failed append left none, or freeing it failed.
        let is_free = found.free.is_some() || found.generation != Some(segment.generation);
        let (Some(first), false) = (found.frames.first(), is_free) else {
            return Ok(());
        };
        let contents = SegmentContents::of(&first.header);
        let is_large = matches!(contents, SegmentContents::Large(_));
        let found_end = found.frames.last().map_or(0, ScannedFrame::end);
        // Damaged records of dropped vBuckets harm nothing.
        let is_needed = |frame: &&ScannedFrame| {
            let epochs = frame.header.epochs();
            epochs.is_none_or(|epochs| self.vb_of_epoch.range(epochs).next().is_some())
        };
        let mut damaged = found.frames.iter().filter(|frame| !frame.is_whole);
        let damaged = damaged.find(is_needed).map(|frame| frame.offset);
        let is_short = end.is_some_and(|end| end != found_end) && !is_large;
        if let Some(at) = damaged.or(is_short.then_some(found_end)) {
            return Err(segment.corrupt(at, "a frame that was acknowledged is damaged"));
        }
        let mut records = found.records;
        if let SegmentContents::Large(fragment) = contents
            && fragment.index == 0
            // Without the others there is no record: freeing one begins with its first fragment.
            && to_u32(segment.rest().len()) + 1 == fragment.count
        {
            records.push(scan_large_record(segment, fragment.append_seqno, hash_key)?);
        }
        let known = covered.as_ref().map_or(0, |covered| covered.bytes);
        let epochs = records
            .iter()
            .map(|record| record.epoch)
            .chain(found.states.iter().map(|state| state.epoch));
        let epochs: BTreeSet<u32> = epochs.collect();
        for record in records {
            let Some(vb) = self.vb_of_epoch.get(&record.epoch) else {
                continue;
            };
            let entry = self.catalog.vbuckets.get(vb);
            let counts =
                entry.is_some_and(|entry| entry.lineage.contains(record.epoch, record.seqno));
            if counts && (record.at.offset >= known || self.renewed.contains(vb)) {
                sorter.push(*vb, record)?;
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
        self.directory.segments.push(CoveredSegment {
            segment: segment.id,
            generation: segment.generation,
            bytes: if is_large { segment.bytes } else { found_end },
            is_closed: *is_closed || end.is_none(),
            contents,
            epochs: epochs.into_iter().collect(),
        });
        Ok(())
    }

    fn write(
        &mut self,
        context: &Arc<StoreContext>,
        sorter: RecordSorter,
    ) -> Result<Box<SectionWriter>, EngineError> {
        self.directory
            .segments
            .sort_unstable_by_key(|covered| covered.segment);
        let directory = std::mem::replace(&mut self.directory, ImageDirectory::new([0; 16], 0, 0));
        let states = std::mem::take(&mut self.states);
        let last = self.last.take();
        let writer = SectionWriter::create(
            context,
            self.claim.next_number(context)?,
            directory,
            last,
            &self.catalog,
            sorter.finish()?,
            states,
        )?;
        Ok(Box::new(writer))
    }

    fn advance(&mut self, maintenance: &Maintenance, budget: Budget) -> Result<(), EngineError> {
        let context = &maintenance.store.context;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Begin => {
                self.begin(maintenance);
                let number = self.claim.next_number(context)?;
                Stage::Read(RecordSorter::new(Arc::clone(context), number))
            }
            Stage::Read(mut sorter) => match self.unread.pop() {
                Some(unread) => {
                    self.read(context, &unread, &mut sorter)?;
                    self.done += 1;
                    Stage::Read(sorter)
                }
                None => Stage::Write(self.write(context, sorter)?),
            },
            Stage::Write(mut writer) => {
                if writer.step(budget)? {
                    Stage::Write(writer)
                } else {
                    let image = writer.finish()?;
                    context.counters.images.add(1);
                    self.claim.install(context, image)?;
                    Stage::Over
                }
            }
            Stage::Over => Stage::Over,
        };
        Ok(())
    }

    /// Runs a step, for a caller that has the store.
    ///
    /// # Errors
    /// Same as [`Job::step`].
    pub(super) fn step_of(
        &mut self,
        maintenance: &Maintenance,
        budget: Budget,
    ) -> Result<JobProgress, EngineError> {
        if let Err(error) = self.advance(maintenance, budget) {
            self.unread.clear();
            self.claim.failed(&error);
            return Err(error);
        }
        let left = to_u64(self.unread.len());
        Ok(match &self.stage {
            Stage::Over => JobProgress::Done(CompactionReport::default()),
            Stage::Begin | Stage::Read(_) => JobProgress::Working {
                stage: JobStage::ReadingLog,
                done: self.done,
                of: self.done + left,
            },
            Stage::Write(writer) => {
                let (done, of) = writer.progress();
                JobProgress::Working {
                    stage: JobStage::WritingImage,
                    done,
                    of,
                }
            }
        })
    }
}

impl Job for ImageJob {
    fn step(&mut self, budget: Budget) -> Result<JobProgress, EngineError> {
        let lease = self.lease.clone();
        lease.step(|maintenance| self.step_of(maintenance, budget))
    }
}

impl Drop for ImageJob {
    fn drop(&mut self) {
        let mut stage = std::mem::replace(&mut self.stage, Stage::Over);
        if matches!(stage, Stage::Begin | Stage::Over) {
            return;
        }
        self.lease.end(|is_open| {
            match &mut stage {
                // The directory may belong to another store, and files of these names, too.
                Stage::Read(sorter) if !is_open => sorter.leave_file(),
                Stage::Write(writer) if !is_open => writer.leave_file(),
                _ => {}
            }
            drop(stage);
        });
    }
}
