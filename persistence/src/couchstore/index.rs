//! Changing both indexes for a set of rows: finished rows go in, new roots come out, and which rows they replaced.
//!
//! Always: both indexes hold the same rows, each key once and each seqno once.

use crate::EngineError;

use super::appender::Appender;
use super::btree_modify::{self, Action};
use super::doc_info::DocInfo;
use super::header::Header;
use super::reduce::Tree;
use super::{by_id, by_seqno};

/// What saving documents did to the indexes.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) written: Vec<DocInfo>,
    /// The rows that are gone now.
    pub(super) replaced: Vec<DocInfo>,
}

/// Puts rows of different keys into both indexes.
pub(super) fn save(
    out: &mut Appender,
    header: &mut Header,
    written: Vec<DocInfo>,
) -> Result<Saved, EngineError> {
    let mut replaced = Vec::new();
    let mut by_id: Vec<Action> = written
        .iter()
        .map(|info| Action { key: info.id.clone(), value: Some(by_id::encode(info)) })
        .collect();
    by_id.sort_by(|a, b| a.key.cmp(&b.key));
    let (source, end) = (out.source().clone(), out.position());
    let root = btree_modify::modify(out, Tree::ById, header.by_id, &by_id, &mut |key, value| {
        let row = by_id::decode(key, value);
        replaced.push(row.ok_or_else(|| source.corrupt(end, "a row in the by-id tree is too short"))?);
        Ok(())
    })?;
    header.set_root(Tree::ById, root);

    let removed = replaced.iter().map(|info| Action { key: by_seqno::key(info.seqno), value: None });
    let inserted = written
        .iter()
        .map(|info| Action { key: by_seqno::key(info.seqno), value: Some(by_seqno::encode(info)) });
    let mut by_seqno: Vec<Action> = removed.chain(inserted).collect();
    by_seqno.sort_by(|a, b| a.key.cmp(&b.key));
    let root = btree_modify::modify(out, Tree::BySeqno, header.by_seqno, &by_seqno, &mut |_, _| Ok(()))?;
    header.set_root(Tree::BySeqno, root);
    Ok(Saved { written, replaced })
}
