//! The file that a compaction writes: bodies and nodes, and at the end a header.
//!
//! It is not the store's file yet. If a sync of it fails, the store continues with the old file.
//! Nothing in it counts before [`Target::commit`], which takes two syncs, as every compaction of
//! the vendor does. Afterwards all of it is durable, under an activated header. It is also synced
//! while it grows, so that the last sync, and the commits that share the device, do not wait for
//! all of it at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::internal::{Invariant as _, Violation, invariant};

use crate::contract::EngineError;
use crate::couchstore::btree::{self, Action};
use crate::couchstore::file::{Appender, CommitView, Source};
use crate::couchstore::format::{
    DocInfo, Header, Pointer, StoreFigures, Tree, block, by_id, by_seqno, vbucket_state,
};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::write::activate;
use crate::numbers::to_u64;

use super::audit;
use super::bulk_builder::BulkBuilder;

/// Position of the first byte. The file has no header at its beginning: block 0 begins with a type
/// byte of 0, which is how a hole reads, and no body has position 0.
const START: u64 = 1;

/// A vBucket's next file.
#[derive(Debug)]
pub(super) struct Target {
    shared: Arc<StoreContext>,
    pub(super) out: Appender,
    /// The content of the next header.
    pub(super) header: Header,
    /// Position of the header before, 0 if there is none. The vendor's files have the same.
    previous: u64,
    synced_bytes: u64,
    /// Counts of this file's rows. Extended attributes are a property of the vBucket instead.
    pub(super) figures: StoreFigures,
    /// Its local documents.
    locals: BTreeMap<Bytes, Bytes>,
}

impl Target {
    /// Makes an empty target for the vBucket at `view`.
    pub(super) fn new(source: Source, shared: Arc<StoreContext>, view: &CommitView) -> Self {
        let Header {
            update_seq,
            purge_seq,
            timestamp,
            ..
        } = view.header;
        // An older file is upgraded to the configured version, and a newer one is not downgraded.
        let version = view.header.version.max(shared.config.version.number());
        let header = Header {
            update_seq,
            purge_seq,
            timestamp,
            previous: 0,
            ..Header::of_version(version)
        };
        Self {
            shared,
            out: Appender::new(source, START),
            header,
            previous: 0,
            synced_bytes: 0,
            figures: StoreFigures::default(),
            locals: BTreeMap::new(),
        }
    }

    /// Verifies a body and copies it as it is stored. Returns the row as it is in this file.
    pub(super) fn copy_body(
        &mut self,
        from: &CommitView,
        mut info: DocInfo,
    ) -> Result<DocInfo, EngineError> {
        (info.body_position, info.physical_bytes) = match from.stored_body(&info)? {
            Some(body) => {
                audit::check_body(from, &info, &body)?;
                self.out.chunk(&body)?
            }
            None => (0, 0),
        };
        self.sync_now_and_then()?;
        Ok(info)
    }

    /// Counts a row that the indexes take in.
    pub(super) fn count(&mut self, info: &DocInfo) {
        self.figures.count_prepare(info);
    }

    /// Inserts copied rows, sorted by key, into the by-id index in place of those with their keys.
    /// Adds the changes of the other index to `by_seqno`.
    pub(super) fn change_by_id(
        &mut self,
        rows: &[DocInfo],
        by_seqno: &mut Vec<Action>,
    ) -> Result<(), EngineError> {
        let action = |info: &DocInfo| Action {
            key: info.id.clone(),
            value: Some(by_id::encode(info)),
        };
        let actions: Vec<Action> = rows.iter().map(action).collect();
        let (source, end) = (self.out.source().clone(), self.out.position());
        let mut replaced = Vec::new();
        let mut on_replaced = |key: &[u8], value: &[u8]| {
            let row = by_id::decode(key, value);
            replaced.push(
                row.ok_or_else(|| source.corrupt(end, "a row in the by-id tree is too short"))?,
            );
            Ok(())
        };
        let root = self.header.by_id;
        let root = btree::modify(&mut self.out, Tree::ById, root, &actions, &mut on_replaced)?;
        self.header.by_id = root;
        for info in &replaced {
            self.figures.uncount_prepare(info);
            by_seqno.push(Action {
                key: by_seqno::key(info.seqno),
                value: None,
            });
        }
        for info in rows {
            self.figures.count_prepare(info);
            by_seqno.push(Action {
                key: by_seqno::key(info.seqno),
                value: Some(by_seqno::encode(info)),
            });
        }
        self.sync_now_and_then()
    }

    /// Removes rows, sorted by key, from the by-id index. Adds the changes of the other index to
    /// `by_seqno`.
    pub(super) fn remove_by_id(
        &mut self,
        rows: &[DocInfo],
        by_seqno: &mut Vec<Action>,
    ) -> Result<(), EngineError> {
        let actions: Vec<Action> = rows
            .iter()
            .map(|info| Action {
                key: info.id.clone(),
                value: None,
            })
            .collect();
        let root = self.header.by_id;
        let root = btree::modify(
            &mut self.out,
            Tree::ById,
            root,
            &actions,
            &mut |_, _| Ok(()),
        )?;
        self.header.by_id = root;
        for info in rows {
            self.figures.uncount_prepare(info);
            by_seqno.push(Action {
                key: by_seqno::key(info.seqno),
                value: None,
            });
        }
        self.sync_now_and_then()
    }

    /// Returns a view of the unfinished content. It is not durable, and only this compaction may
    /// read it.
    pub(super) fn unfinished_view(&mut self) -> Result<CommitView, EngineError> {
        self.out.flush()?;
        let end = self.out.position();
        let source = self.out.source().uncached();
        Ok(CommitView {
            source,
            header: self.header.clone(),
            position: end,
            end,
        })
    }

    /// Changes the by-seqno index.
    pub(super) fn change_by_seqno(&mut self, actions: &[Action]) -> Result<(), EngineError> {
        let root = self.header.by_seqno;
        let root = btree::modify(&mut self.out, Tree::BySeqno, root, actions, &mut |_, _| {
            Ok(())
        })?;
        self.header.by_seqno = root;
        self.sync_now_and_then()
    }

    /// Builds the local tree of `from`, with the figures of this file in the vBucket's state.
    pub(super) fn build_locals(&mut self, from: &CommitView) -> Result<(), EngineError> {
        self.locals = self.locals_of(from)?;
        let mut builder = BulkBuilder::new(Tree::Local);
        for (name, value) in &self.locals {
            let is_added = builder.push(&mut self.out, name.clone(), value.clone())?;
            is_added
                .then_some(())
                .invariant("E34", "the names of a map ascend")
                .map_err(|violation| self.out.source().internal(violation))?;
        }
        self.header.local = builder.finish(&mut self.out)?;
        Ok(())
    }

    /// Changes the local tree to that of `from`.
    pub(super) fn update_locals(&mut self, from: &CommitView) -> Result<(), EngineError> {
        let wanted = self.locals_of(from)?;
        let gone = self
            .locals
            .keys()
            .filter(|name| !wanted.contains_key(*name));
        let mut actions: Vec<Action> = gone
            .map(|name| Action {
                key: name.clone(),
                value: None,
            })
            .collect();
        let changed = wanted
            .iter()
            .filter(|(name, value)| self.locals.get(*name) != Some(*value));
        actions.extend(changed.map(|(name, value)| Action {
            key: name.clone(),
            value: Some(value.clone()),
        }));
        actions.sort_by(|a, b| a.key.cmp(&b.key));
        let root = btree::modify(
            &mut self.out,
            Tree::Local,
            self.header.local,
            &actions,
            &mut |_, _| Ok(()),
        )?;
        self.header.local = root;
        self.locals = wanted;
        Ok(())
    }

    fn locals_of(&self, from: &CommitView) -> Result<BTreeMap<Bytes, Bytes>, EngineError> {
        let mut locals: BTreeMap<Bytes, Bytes> = from.locals()?.into_iter().collect();
        if let Some((state, figures)) = from.state()? {
            let ours = StoreFigures {
                xattrs: figures.xattrs,
                ..self.figures
            };
            if ours != figures {
                let value = vbucket_state::encode(&state, &ours)
                    .map_err(|error| from.source.corrupt(from.position, error.to_string()))?;
                locals.insert(Bytes::from_static(vbucket_state::NAME), value.into());
            }
        }
        Ok(locals)
    }

    /// Makes everything appended durable, as the vBucket's state at `at`.
    pub(super) fn commit(&mut self, at: &CommitView) -> Result<CommitView, EngineError> {
        self.check_rows()
            .map_err(|violation| self.out.source().internal(violation))?;
        let timestamp = at.header.timestamp;
        let header = Header {
            timestamp,
            previous: self.previous,
            ..self.header.clone()
        }
        .into_stored();
        let position = self.out.header_position();
        let encoded = header.encode(block::DATA);
        self.out.header(&encoded)?;
        let source = self.out.source().clone();
        let view = CommitView {
            source,
            header,
            position,
            end: position + to_u64(encoded.len()),
        };
        self.sync()?;
        activate(&view)?;
        self.sync()?;
        self.previous = position;
        Ok(view)
    }

    /// Checks that each document has one row in both indexes, by the sums of their roots.
    fn check_rows(&self) -> Result<(), Violation> {
        let rows = |root: Option<Pointer>| root.map_or(0, |root| root.reduction.rows());
        invariant!(
            rows(self.header.by_id) == rows(self.header.by_seqno),
            "E28",
            "both indexes of a new file have as many rows"
        );
        Ok(())
    }

    /// Returns the bytes handed to the disk so far.
    pub(super) const fn written_bytes(&self) -> u64 {
        self.out.written_bytes()
    }

    fn sync_now_and_then(&mut self) -> Result<(), EngineError> {
        let limit = self.shared.config.compaction.sync_bytes;
        if limit > 0 && self.out.appended_bytes() - self.synced_bytes >= limit {
            self.out.flush()?;
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        self.shared.syncs.add(1);
        self.synced_bytes = self.out.appended_bytes();
        Ok(self.out.source().file.sync_data()?)
    }
}
