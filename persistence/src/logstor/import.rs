//! A vBucket on its way in: the pieces of an [`Export`](super::Export) go in, step by step, and the vBucket is there at the
//! end, as a whole.
//!
//! What always holds (L36):
//!
//! - Records are committed under an epoch that no vBucket has, so they don't exist (L7), whatever is read and whenever the
//!   power goes; the last step is the edit of the manifest that gives that epoch to the vBucket.
//! - The epoch was reserved by an edit of its own before, and is never used again, whatever becomes of the import.
//! - An import that failed or was dropped leaves records that nobody needs, and rewriting frees their segments.
//! - While it runs its branch is seen by rewriting like any other, so that what was written stays where it is named.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Seqno, VBucketState, Vbid};

use crate::contract::{Batch, Budget, CompactionReport, EngineError, Job, Progress};
use crate::record;

use super::branch::{Beginning, Branch};
use super::encode::Encoded;
use super::export::{self, End, HEAD_BYTES_MAX, Head, PREFIX_BYTES, PieceKind, Prefix};
use super::maintenance::{Maintenance, StoreLease};
use super::manifest::{Edit, Lineage};
use super::purged::Purged;
use super::store::Store;
use super::writer::{Outcome, Request};
use super::{Logstor, state};

impl Logstor {
    /// Begins to import a vBucket from the pieces of an export, one behind the other. It may get another number than it
    /// had. The vBucket is there when the job is done, and not before; until then it can't be created. Dropping the job
    /// ends it.
    ///
    /// A step's errors are [`EngineError::Corrupt`], with the offset in what was read, if the export is damaged or ends
    /// early; [`EngineError::InvalidArgument`] if reading fails; and those of a commit.
    ///
    /// # Errors
    /// [`EngineError::VBucketExists`], also while it is being imported; [`EngineError::Poisoned`].
    pub fn import(
        &self,
        vb: Vbid,
        pieces: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Job>, EngineError> {
        self.store.begin_import(vb)?;
        Ok(Box::new(Import {
            lease: StoreLease::of(&self.maintenance),
            vb,
            source: Source {
                pieces,
                offset: 0,
                number: 0,
                vb,
            },
            stage: Stage::Begin,
            report: CompactionReport::default(),
        }))
    }
}

impl Store {
    fn begin_import(&self, vb: Vbid) -> Result<(), EngineError> {
        self.shared.check_writable()?;
        let branches = self.registry.branches.read();
        let mut importing = self.registry.importing.lock();
        if branches.contains_key(&vb) || importing.contains_key(&vb) {
            return Err(EngineError::VBucketExists { vb });
        }
        importing.insert(vb, None);
        Ok(())
    }

    /// A branch under an epoch that is nobody's.
    fn hidden_branch(&self, vb: Vbid, purged: &Purged) -> Result<Arc<Branch>, EngineError> {
        let epoch = self.writer.alone(|| {
            let epoch = self.log.manifest.lock().sketch().next_epoch();
            self.log.edit(&Edit::Reserve { epoch }).map(|()| epoch)
        })?;
        let beginning = Beginning {
            purged: Arc::new(purged.clone()),
            ..Beginning::default()
        };
        let branch = Arc::new(Branch::new(
            vb,
            Lineage::of(epoch),
            Arc::clone(&self.log),
            None,
            beginning,
        ));
        self.registry
            .importing
            .lock()
            .insert(vb, Some(Arc::clone(&branch)));
        Ok(branch)
    }

    /// The vBucket is there.
    fn adopt(&self, branch: &Arc<Branch>, purged: &Purged) -> Result<(), EngineError> {
        let (vb, epoch) = (branch.vb, branch.epoch());
        self.writer.alone(|| {
            self.log.edit(&Edit::Adopt {
                vb: vb.0,
                epoch,
                purged: purged.clone(),
            })?;
            // In one step, so that rewriting sees it here or there.
            let mut branches = self.registry.branches.write();
            branches.insert(vb, Arc::clone(branch));
            self.registry.importing.lock().remove(&vb);
            Ok(())
        })
    }

    fn end_import(&self, vb: Vbid) {
        // It lets go of its records outside the lock.
        let branch = self.registry.importing.lock().remove(&vb);
        drop(branch);
    }
}

/// Commits a batch to a vBucket that is being imported.
fn commit_hidden(maintenance: &Maintenance, encoded: Encoded) -> Result<(), EngineError> {
    let vb = encoded.branch.vb;
    let store = &maintenance.store;
    let request = Arc::new(Request::new(vec![Ok(encoded)]));
    match store.writer.commit(&store.log, maintenance, request) {
        Outcome::Done(results) => results
            .into_iter()
            .try_for_each(|result| result.map(|_| ())),
        Outcome::Stale => Err(EngineError::Aborted {
            vb,
            why: "the store was closed",
        }),
    }
}

enum Stage {
    Begin,
    Records {
        branch: Arc<Branch>,
        head: Head,
        state: Option<VBucketState>,
    },
    Adopt {
        branch: Arc<Branch>,
        purged: Purged,
    },
    Over,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "Begin",
            Self::Records { .. } => "Records",
            Self::Adopt { .. } => "Adopt",
            Self::Over => "Over",
        })
    }
}

#[derive(Debug)]
struct Import {
    lease: StoreLease,
    vb: Vbid,
    source: Source,
    stage: Stage,
    report: CompactionReport,
}

impl Job for Import {
    fn step(&mut self, budget: Budget) -> Result<Progress, EngineError> {
        let lease = self.lease.clone();
        let result = lease.step(|maintenance| self.advance(maintenance, budget));
        if result.is_err() {
            self.give_up();
        }
        result
    }
}

impl Import {
    fn give_up(&mut self) {
        self.stage = Stage::Over;
        if let Some(maintenance) = self.lease.in_memory() {
            maintenance.store.end_import(self.vb);
        }
    }

    fn advance(
        &mut self,
        maintenance: &Maintenance,
        mut budget: Budget,
    ) -> Result<Progress, EngineError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => Ok(Progress::Done(self.report)),
            Stage::Adopt { branch, purged } => {
                maintenance.store.adopt(&branch, &purged)?;
                Ok(Progress::Done(self.report))
            }
            Stage::Begin => {
                let head: Head = self.source.expect(PieceKind::Head)?;
                let state = head
                    .state
                    .as_deref()
                    .map(|bytes| state::decode(bytes).ok_or("a state that is none"));
                let state = state
                    .transpose()
                    .map_err(|what| self.source.corrupt(what))?;
                let branch = maintenance.store.hidden_branch(self.vb, &head.purged)?;
                self.stage = Stage::Records {
                    branch,
                    head,
                    state,
                };
                Ok(self.progress())
            }
            Stage::Records {
                branch,
                head,
                state,
            } => loop {
                let (kind, payload) = self.source.next()?;
                match kind {
                    PieceKind::Records => {
                        self.take(maintenance, &branch, &head, state.as_ref(), &payload)?
                    }
                    PieceKind::End => {
                        self.finish(maintenance, &branch, &head, state.as_ref(), &payload)?;
                        self.stage = Stage::Adopt {
                            branch,
                            purged: head.purged,
                        };
                        return Ok(self.progress());
                    }
                    PieceKind::Head => return Err(self.source.corrupt("a second head")),
                }
                if !budget.spend(payload.len() as u64) {
                    self.stage = Stage::Records {
                        branch,
                        head,
                        state,
                    };
                    return Ok(self.progress());
                }
            },
        }
    }

    fn progress(&self) -> Progress {
        let done = self.report.items_copied;
        Progress::Working {
            stage: "import",
            done,
            of: done,
        }
    }

    fn take(
        &mut self,
        maintenance: &Maintenance,
        branch: &Arc<Branch>,
        head: &Head,
        state: Option<&VBucketState>,
        payload: &Bytes,
    ) -> Result<(), EngineError> {
        let items: Option<Vec<Item>> = export::items(payload).collect();
        let items = items.ok_or_else(|| self.source.corrupt("a damaged record"))?;
        if items.is_empty() {
            return Ok(());
        }
        let state =
            state.ok_or_else(|| self.source.corrupt("records of a vBucket without a state"))?;
        if items.last().is_some_and(|last| last.seqno.0 > head.high) {
            return Err(self.source.corrupt("a seqno above the high seqno"));
        }
        let refs: Vec<&Item> = items.iter().collect();
        commit_hidden(
            maintenance,
            Self::encoded(maintenance, branch, &refs, state)?,
        )?;
        self.report.items_copied += items.len() as u64;
        Ok(())
    }

    fn encoded(
        maintenance: &Maintenance,
        branch: &Arc<Branch>,
        items: &[&Item],
        state: &VBucketState,
    ) -> Result<Encoded, EngineError> {
        let batch = Batch {
            vb: branch.vb,
            items,
            state,
            timestamp: 0,
        };
        let hash_key = maintenance.store.shared.hash_key;
        Encoded::new(&batch, Arc::clone(branch), hash_key)
    }

    /// Everything is there: the state is committed once more, with the high seqno.
    fn finish(
        &mut self,
        maintenance: &Maintenance,
        branch: &Arc<Branch>,
        head: &Head,
        state: Option<&VBucketState>,
        payload: &Bytes,
    ) -> Result<(), EngineError> {
        let end: End = self.source.decode(payload)?;
        if end.records != self.report.items_copied {
            return Err(self.source.corrupt("records are missing"));
        }
        if let Some(state) = state {
            let last = Encoded {
                last: Some(Seqno(head.high)),
                ..Self::encoded(maintenance, branch, &[], state)?
            };
            commit_hidden(maintenance, last)?;
        }
        Ok(())
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.give_up();
        }
    }
}

/// Pieces, read one by one, in their order.
struct Source {
    pieces: Box<dyn Read + Send>,
    /// How much was read.
    offset: u64,
    number: u32,
    vb: Vbid,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Source {
    fn next(&mut self) -> Result<(PieceKind, Bytes), EngineError> {
        let mut prefix = [0; PREFIX_BYTES];
        let read = self.pieces.read_exact(&mut prefix);
        read.map_err(|error| self.failed(&error))?;
        let prefix = Prefix::decode(&prefix).filter(|prefix| prefix.number == self.number);
        let prefix = prefix.ok_or_else(|| self.corrupt("no piece, or not the next one"))?;
        let mut payload = Vec::new();
        // It grows as bytes come, whatever the prefix claims.
        let read = (&mut self.pieces)
            .take(prefix.payload_bytes.into())
            .read_to_end(&mut payload);
        read.map_err(|error| self.failed(&error))?;
        if payload.len() != prefix.payload_bytes as usize || !prefix.fits(&payload) {
            return Err(self.corrupt("a damaged piece, or a part of one"));
        }
        self.offset += (PREFIX_BYTES + payload.len()) as u64;
        // None has the number after the last: it would be no next one.
        self.number = self
            .number
            .checked_add(1)
            .ok_or_else(|| self.corrupt("more pieces than there are numbers"))?;
        Ok((prefix.kind, payload.into()))
    }

    fn expect(&mut self, kind: PieceKind) -> Result<Head, EngineError> {
        let (found, payload) = self.next()?;
        if found != kind {
            return Err(self.corrupt("an export begins with a head"));
        }
        self.decode(&payload)
    }

    fn decode<T: serde::de::DeserializeOwned>(&self, payload: &[u8]) -> Result<T, EngineError> {
        let (value, _) = record::decode(payload, HEAD_BYTES_MAX)
            .map_err(|_| self.corrupt("a head or end that is none"))?;
        Ok(value)
    }

    fn failed(&self, error: &io::Error) -> EngineError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.corrupt("it ends early");
        }
        EngineError::InvalidArgument(format!(
            "vBucket {}: the export can't be read: {error}",
            self.vb
        ))
    }

    fn corrupt(&self, what: &str) -> EngineError {
        let path = export::exported(self.vb);
        EngineError::Corrupt {
            path,
            offset: self.offset,
            what: what.to_owned(),
        }
    }
}
