//! The update of both indexes for a set of rows.
//!
//! What always holds: both indexes hold the same rows, each key once and each seqno once.

use std::ops::Range;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::btree::{self, Action};
use crate::couchstore::file::Appender;
use crate::couchstore::format::{DocInfo, Header, StoreFigures, Tree, by_id, by_seqno, document};

/// The effect of saving documents on the indexes.
#[derive(Debug, Default)]
pub(crate) struct SavedRows {
    pub(crate) written: Vec<DocInfo>,
    /// Prepares and aborts whose rows were replaced. Other replaced rows are not needed.
    pub(crate) replaced: Vec<DocInfo>,
}

impl SavedRows {
    /// Counts the prepares that were written, and takes off those that were replaced.
    pub(crate) fn count_prepares(&self, figures: &mut StoreFigures) {
        for info in &self.written {
            figures.count_prepare(info);
        }
        for info in &self.replaced {
            figures.uncount_prepare(info);
        }
    }
}

/// Puts rows of different keys into both indexes.
pub(crate) fn save(
    out: &mut Appender,
    header: &mut Header,
    written: Vec<DocInfo>,
) -> Result<SavedRows, EngineError> {
    let mut actions = Actions::default();
    for info in &written {
        let value = actions.put(|bytes| by_id::encode_into(bytes, info));
        actions
            .list
            .push((Part::Given(info.id.clone()), Some(value)));
    }
    let (mut replaced, mut gone) = (Vec::new(), Vec::new());
    let (source, end) = (out.source().clone(), out.position());
    let root = btree::modify(
        out,
        Tree::ById,
        header.by_id,
        &actions.sorted(),
        &mut |key, value| {
            let row = by_id::row(key, value);
            let row =
                row.ok_or_else(|| source.corrupt(end, "a row in the by-id tree is too short"))?;
            gone.push(row.seqno);
            if document::is_prepared(key) {
                replaced.push(row.to_info());
            }
            Ok(())
        },
    )?;
    header.set_root(Tree::ById, root);

    let mut actions = Actions::default();
    for &seqno in &gone {
        actions.push_seqno(seqno, None);
    }
    for info in &written {
        actions.push_seqno(info.seqno, Some(info));
    }
    let by_seqno = actions.sorted();
    let root = btree::modify(
        out,
        Tree::BySeqno,
        header.by_seqno,
        &by_seqno,
        &mut |_, _| Ok(()),
    )?;
    header.set_root(Tree::BySeqno, root);
    Ok(SavedRows { written, replaced })
}

/// Actions whose keys and values share one allocation.
#[derive(Default)]
struct Actions {
    bytes: Vec<u8>,
    list: Vec<(Part, Option<Range<usize>>)>,
}

enum Part {
    Given(Bytes),
    Put(Range<usize>),
}

impl Actions {
    fn put(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        start..self.bytes.len()
    }

    fn push_seqno(&mut self, seqno: Seqno, info: Option<&DocInfo>) {
        let key = self.put(|bytes| by_seqno::key_into(bytes, seqno));
        let value = info.map(|info| self.put(|bytes| by_seqno::encode_into(bytes, info)));
        self.list.push((Part::Put(key), value));
    }

    /// Returns the actions by key; those of one key keep their order.
    fn sorted(self) -> Vec<Action> {
        let bytes = Bytes::from(self.bytes);
        let action = |(key, value): (Part, Option<Range<usize>>)| Action {
            key: match key {
                Part::Given(key) => key,
                Part::Put(key) => bytes.slice(key),
            },
            value: value.map(|value| bytes.slice(value)),
        };
        let mut actions: Vec<Action> = self.list.into_iter().map(action).collect();
        actions.sort_by(|a, b| a.key.cmp(&b.key));
        actions
    }
}
