//! Building both indexes of the copied rows: first by id, from the rows sorted by key, then by
//! seqno, from the remaining rows sorted again.
//!
//! E28. If a key was copied more than once, its newest row counts. The bodies of the others stay in
//! the file unused.
//!
//! E13. Within one commit no key and no seqno occurs twice. If one does, the source is damaged and
//! refused.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;
use lowtide_checkpoint::internal::violated;

use crate::contract::{Budget, EngineError};
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{DocInfo, Tree, by_id, by_seqno};
use crate::couchstore::store::file_names;
use crate::numbers::to_u64;

use super::bulk_builder::BulkBuilder;
use super::files::Create;
use super::sort::{Sorted, Sorter};
use super::target::Target;

/// The construction of both indexes.
#[derive(Debug)]
pub(super) struct Indexing {
    pass: Pass,
    builder: BulkBuilder,
    /// Seqno up to which a key occurs once.
    first_high: Seqno,
    pub(super) done: u64,
    pub(super) of: u64,
}

#[derive(Debug)]
enum Pass {
    ById {
        rows: Sorted,
        /// The newest row of the current key so far, with its value in the index.
        newest: Option<(DocInfo, Bytes)>,
        by_seqno: Box<Sorter>,
    },
    BySeqno {
        rows: Sorted,
    },
    Over,
}

impl Indexing {
    /// Begins with the rows of a sorter by key.
    pub(super) fn new(
        by_id: Sorter,
        sort_bytes: usize,
        first_high: Seqno,
    ) -> Result<Self, EngineError> {
        // Each row is added to one index and then to the other.
        let of = by_id.pushed().saturating_mul(2);
        let by_seqno = Box::new(Sorter::new(sort_bytes, by_id.next_run()));
        let pass = Pass::ById {
            rows: by_id.finish()?,
            newest: None,
            by_seqno,
        };
        Ok(Self {
            pass,
            builder: BulkBuilder::new(Tree::ById),
            first_high,
            done: 0,
            of,
        })
    }

    /// Indexes as many rows as the budget allows. Returns whether all are indexed. Then both
    /// indexes and the local documents are those of `view`.
    pub(super) fn step(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        create: Create<'_>,
        mut budget: Budget,
    ) -> Result<bool, EngineError> {
        loop {
            let row = match &mut self.pass {
                Pass::ById { rows, .. } | Pass::BySeqno { rows } => rows.next()?,
                Pass::Over => None,
            };
            let Some((key, value)) = row else {
                if self.end_pass(target, create)? {
                    target.build_locals(view)?;
                    return Ok(true);
                }
                continue;
            };
            let bytes = to_u64(key.len() + value.len());
            self.done += 1;
            match self.pass {
                Pass::ById { .. } => self.row_by_id(view, target, create, &key, value)?,
                Pass::BySeqno { .. } | Pass::Over => self.row_by_seqno(view, target, key, value)?,
            }
            if !budget.spend(bytes) {
                return Ok(false);
            }
        }
    }

    fn row_by_id(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        create: Create<'_>,
        key: &Bytes,
        value: Bytes,
    ) -> Result<(), EngineError> {
        let Pass::ById {
            newest, by_seqno, ..
        } = &mut self.pass
        else {
            let violation = violated("E28", "rows by key come before rows by seqno");
            return Err(view.source.internal(violation));
        };
        let info = by_id::decode(key, &value).ok_or_else(|| view.corrupt_row(Tree::ById))?;
        match newest {
            Some((known, _)) if known.id == info.id => {
                if known.seqno == info.seqno || known.seqno.max(info.seqno) <= self.first_high {
                    let what = format!("key {} occurs twice", key.escape_ascii());
                    return Err(view.source.corrupt(view.position, what));
                }
                if info.seqno > known.seqno {
                    *newest = Some((info, value));
                }
                // The by-seqno index gets one row less.
                self.of = self.of.saturating_sub(1);
                Ok(())
            }
            _ => match newest.replace((info, value)) {
                Some(row) => take_in(&mut self.builder, by_seqno, target, create, row),
                None => Ok(()),
            },
        }
    }

    fn row_by_seqno(
        &mut self,
        view: &CommitView,
        target: &mut Target,
        key: Bytes,
        value: Bytes,
    ) -> Result<(), EngineError> {
        if self.builder.push(&mut target.out, key, value)? {
            return Ok(());
        }
        Err(view.source.corrupt(view.position, "a seqno occurs twice"))
    }

    /// Ends an index that has all its rows. Returns whether it was the last one.
    fn end_pass(&mut self, target: &mut Target, create: Create<'_>) -> Result<bool, EngineError> {
        match std::mem::replace(&mut self.pass, Pass::Over) {
            Pass::ById {
                newest,
                mut by_seqno,
                ..
            } => {
                if let Some(row) = newest {
                    take_in(&mut self.builder, &mut by_seqno, target, create, row)?;
                }
                let builder = std::mem::replace(&mut self.builder, BulkBuilder::new(Tree::BySeqno));
                target.header.by_id = builder.finish(&mut target.out)?;
                self.pass = Pass::BySeqno {
                    rows: by_seqno.finish()?,
                };
                Ok(false)
            }
            Pass::BySeqno { .. } => {
                let builder = std::mem::replace(&mut self.builder, BulkBuilder::new(Tree::Local));
                target.header.by_seqno = builder.finish(&mut target.out)?;
                Ok(true)
            }
            Pass::Over => Ok(true),
        }
    }
}

/// Adds the newest row of a key to the by-id index, and to the sorter of the other.
fn take_in(
    by_id: &mut BulkBuilder,
    by_seqno: &mut Sorter,
    target: &mut Target,
    create: Create<'_>,
    (info, value): (DocInfo, Bytes),
) -> Result<(), EngineError> {
    target.count(&info);
    by_seqno.push(
        by_seqno::key(info.seqno),
        by_seqno::encode(&info),
        &mut |run| create(&file_names::run(&target.out.source().path, run)),
    )?;
    if by_id.push(&mut target.out, info.id, value)? {
        return Ok(());
    }
    let violation = violated("E28", "sorted rows arrive in the order of their keys");
    Err(target.out.source().internal(violation))
}
