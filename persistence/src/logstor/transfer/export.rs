//! The export of a vBucket: a pinned view becomes pieces of bytes, which [`Logstor::import`] takes.
//!
//! # Invariants
//!
//! An export is the vBucket as it was when it began, whatever is committed, rewritten or dropped
//! meanwhile (L35). Later changes are the host's to bring, by a stream from [`Export::high`] on.

use std::sync::Arc;

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use super::export_format::{
    End, Head, PIECE_BYTES, PieceKind, encoded, exported, piece, too_large,
};
use crate::contract::{EngineError, ScanLimit, Snapshot, VBucketInfo};
use crate::logstor::engine::Logstor;
use crate::logstor::format::{encode_item, encode_state, to_u64};
use crate::logstor::vbucket::LogSnapshot;

/// Items of a piece, at most: it bounds pieces of small records, too.
const ITEMS: usize = 1024;

#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    Records { from: Seqno },
    End,
    Over,
}

/// The export of a vBucket. Its view stays pinned until this is dropped.
#[derive(Debug)]
pub struct Export {
    vb: Vbid,
    snapshot: LogSnapshot,
    stage: Stage,
    number: u32,
    records: u64,
}

impl Logstor {
    /// Begins the export of a vBucket.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`].
    pub fn export(&self, vb: Vbid) -> Result<Export, EngineError> {
        let vbucket = self.store.registry.loaded(vb)?;
        let snapshot = LogSnapshot::new(vbucket, Arc::clone(&self.store.context));
        Ok(Export {
            vb,
            snapshot,
            stage: Stage::Head,
            number: 0,
            records: 0,
        })
    }
}

impl Export {
    /// Leaves this many numbers of pieces.
    #[cfg(test)]
    pub(in crate::logstor) fn leave_numbers(&mut self, count: u32) {
        self.number = u32::MAX - count;
    }

    /// Returns the seqno up to which everything is in the export. A stream from there on brings
    /// later changes.
    #[must_use]
    pub fn high(&self) -> Seqno {
        self.snapshot.high()
    }

    /// Returns the vBucket's state.
    #[must_use]
    pub fn state(&self) -> Option<&VBucketState> {
        self.snapshot.state()
    }

    /// Returns the vBucket's figures.
    #[must_use]
    pub fn info(&self) -> VBucketInfo {
        self.snapshot.info()
    }

    /// Returns the next piece; `None` after the last one. After an error the same piece is tried
    /// again.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        let used_up = || EngineError::NumbersUsedUp {
            path: exported(self.vb),
            what: "numbers of its pieces",
        };
        if matches!(self.stage, Stage::Over) {
            return Ok(None);
        }
        // Before the stage counts anything, so that the same piece can be tried again.
        let following = self.number.checked_add(1).ok_or_else(used_up)?;
        let (kind, payload, next) = match self.stage {
            Stage::Head => (
                PieceKind::Head,
                self.head()?,
                Stage::Records { from: Seqno::ZERO },
            ),
            Stage::Records { from } => {
                let slice = self.snapshot.scan(
                    from,
                    Seqno::MAX,
                    ScanLimit {
                        items: ITEMS,
                        bytes: PIECE_BYTES,
                    },
                )?;
                let mut payload = Vec::new();
                for item in &slice.items {
                    encode_item(&mut payload, 0, item)
                        .invariant("L35", "an item that is stored has a record")
                        .map_err(|violation| self.snapshot.internal(violation))?;
                }
                self.records += to_u64(slice.items.len());
                let next = slice
                    .next
                    .map_or(Stage::End, |from| Stage::Records { from });
                (PieceKind::Records, payload, next)
            }
            Stage::End => (
                PieceKind::End,
                encoded(&End {
                    records: self.records,
                })?,
                Stage::Over,
            ),
            Stage::Over => return Ok(None),
        };
        let piece = piece(kind, self.number, &payload);
        self.stage = next;
        self.number = following;
        Ok(Some(piece))
    }

    fn head(&self) -> Result<Vec<u8>, EngineError> {
        let state = self
            .snapshot
            .state()
            .map(|state| encode_state(state).ok_or_else(too_large));
        encoded(&Head {
            vb: self.vb.0,
            high: self.high().0,
            purged: self.snapshot.purged().clone(),
            state: state.transpose()?,
        })
    }
}
