//! The writer of one file: it saves documents and local documents and commits them together.
//!
//! # Invariants
//!
//! - The file up to the end of the last good commit is never written again, except for that
//!   commit's block type.
//! - A failure before a commit's sync leaves the writer as after the last good commit. What the
//!   failed commit left in the file is cut off, durably, before anything else is written. A failed
//!   sync, or a failed cut, poisons the store.
//! - Nodes go into the cache once their commit cannot fail any more (E22), so nothing that is cut
//!   off was ever in it.
//! - A commit takes two syncs if opening the file could not tell it from garbage before it is
//!   activated.

mod amend;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::internal::{Violation, invariant};

use crate::contract::EngineError;
use crate::couchstore::btree::{self, Action};
use crate::couchstore::config::CommitMode;
use crate::couchstore::file::{Appender, CommitView, FileNodes, Source};
#[cfg(test)]
use crate::couchstore::format::Pointer;
use crate::couchstore::format::header::VERSION_PREVIOUS;
use crate::couchstore::format::node::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::couchstore::format::{Checksum, DocInfo, Document, Header, Tree, block};
use crate::couchstore::store_context::StoreContext;
use crate::disk::DiskFile;
use crate::numbers::to_u64;

use super::activation::activate;
use super::index_update::{self, SavedRows};
use super::preallocation::Preallocation;

/// Largest commit with one sync. After a crash a larger one would have to be written again as a
/// whole.
pub(crate) const ONE_SYNC_BYTES_MAX: u64 = 4 << 20;

/// A file that is written to, by one writer at a time.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<StoreContext>,
    /// The last good commit.
    view: CommitView,
    /// The state that the next commit makes durable.
    header: Header,
    /// Position of the commit that state derives from: the last good one, or an earlier one after a
    /// rollback.
    base: u64,
    out: Appender,
    preallocation: Preallocation,
    /// Whether writing the block type of `view` failed and must be repeated.
    activation_due: bool,
    /// Whether a failed commit left bytes behind `view`.
    cut_due: bool,
}

impl Writer {
    /// Writes the first header of an empty file, durably. `path` is for messages.
    pub(crate) fn create(
        file: Arc<dyn DiskFile>,
        path: &Path,
        shared: Arc<StoreContext>,
    ) -> Result<Self, EngineError> {
        let header = Header::of_version(shared.config.version.number());
        let encoded = header.encode(block::HEADER);
        file.write_at(&[&encoded], 0)?;
        shared.sync(&*file, path)?;
        shared.written_bytes.add(to_u64(encoded.len()));
        let source = Source::new(file, path, Checksum::of_version(header.version));
        Ok(Self::new(
            CommitView {
                source,
                header,
                position: 0,
                end: to_u64(encoded.len()),
            },
            shared,
        ))
    }

    /// Continues after `view`, which must be durable, activated, and the last thing in its file.
    pub(crate) fn new(mut view: CommitView, shared: Arc<StoreContext>) -> Self {
        view.source.nodes = FileNodes::new(&shared.nodes);
        let out = Appender::new(view.source.clone(), view.end);
        Self {
            shared,
            header: view.header.clone(),
            base: view.position,
            preallocation: Preallocation::new(view.end),
            view,
            out,
            activation_due: false,
            cut_due: false,
        }
    }

    /// Returns the last good commit.
    pub(crate) const fn view(&self) -> &CommitView {
        &self.view
    }

    /// Saves documents of different keys. Those without a body are tombstones.
    pub(crate) fn save(&mut self, documents: Vec<Document>) -> Result<SavedRows, EngineError> {
        self.attempt(|writer| writer.save_documents(documents))
    }

    /// Sets a local document, or removes it.
    pub(crate) fn set_local(
        &mut self,
        name: &[u8],
        value: Option<Bytes>,
    ) -> Result<(), EngineError> {
        let value_bytes = value.as_ref().map_or(0, Bytes::len);
        if name.len() > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
            self.abandon();
            let what = format!(
                "local document {} of {value_bytes} bytes is too large",
                name.escape_ascii()
            );
            return Err(EngineError::InvalidArgument(what));
        }
        let action = Action {
            key: Bytes::copy_from_slice(name),
            value,
        };
        self.attempt(|writer| writer.modify(Tree::Local, &[action], &mut |_, _| Ok(())))
    }

    /// Adopts the seqnos of a file whose rows are copied, so that no seqno is used again.
    pub(crate) fn set_seqnos(&mut self, update_seq: u64, purge_seq: u64) {
        self.header.update_seq = self.header.update_seq.max(update_seq);
        self.header.purge_seq = purge_seq;
    }

    /// Makes everything saved durable. On an error none of it is.
    pub(crate) fn commit(&mut self, timestamp: u64) -> Result<(), EngineError> {
        self.attempt(|writer| writer.commit_header(timestamp))
    }

    /// Discards everything saved since the last commit.
    pub(crate) fn abandon(&mut self) {
        self.cut_due |= self.out.written_bytes() > 0;
        self.header = self.view.header.clone();
        self.base = self.view.position;
        self.out = Appender::new(self.view.source.clone(), self.view.end);
    }

    /// Makes everything durable that a commit does not wait for.
    pub(crate) fn finish(&mut self) -> Result<(), EngineError> {
        self.abandon();
        self.settle()?;
        let Source { file, path, .. } = &self.view.source;
        if self.preallocation.is_behind(&self.view) {
            self.preallocation.cut(&**file, &self.view)?;
        }
        self.shared.sync(&**file, path)
    }

    fn attempt<T>(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let result = self.settle().and_then(|()| step(self));
        result.inspect_err(|error| {
            self.abandon();
            self.shared.poison_after(error);
        })
    }

    /// Completes what earlier failures left undone.
    fn settle(&mut self) -> Result<(), EngineError> {
        if self.cut_due {
            let Source { file, path, .. } = &self.view.source;
            let cut = self.preallocation.cut(&**file, &self.view);
            cut.inspect_err(|error| self.shared.poison.set_after(error, path))?;
            // Otherwise a power loss could mix the bytes that were cut off with those written over
            // them.
            self.shared.sync(&**file, path)?;
            self.cut_due = false;
        }
        if self.activation_due {
            activate(&self.view)?;
            self.activation_due = false;
        }
        Ok(())
    }

    fn modify(
        &mut self,
        tree: Tree,
        actions: &[Action],
        on_replaced: btree::OnReplaced<'_>,
    ) -> Result<(), EngineError> {
        let root = btree::modify(
            &mut self.out,
            tree,
            self.header.root(tree),
            actions,
            on_replaced,
        )?;
        self.header.set_root(tree, root);
        Ok(())
    }

    fn save_documents(&mut self, documents: Vec<Document>) -> Result<SavedRows, EngineError> {
        let mut written = Vec::with_capacity(documents.len());
        for document in documents {
            let info = self.body(document)?;
            self.header.update_seq = self.header.update_seq.max(info.seqno.0);
            written.push(info);
        }
        index_update::save(&mut self.out, &mut self.header, written)
    }

    /// Appends a document's body. Returns the finished row.
    fn body(&mut self, document: Document) -> Result<DocInfo, EngineError> {
        let Document { mut info, body } = document;
        match body {
            None => info.deleted = true,
            Some(body) => {
                let compressed = if info.is_compressed() {
                    self.out.compressed(&body)?
                } else {
                    None
                };
                (info.body_position, info.physical_bytes) = match compressed {
                    Some(appended) => appended,
                    None => self.out.chunk(&body)?,
                };
            }
        }
        Ok(info)
    }

    /// Returns whether opening the file would recognize the next commit without its activation. It
    /// must name the last good one as the one before, and its last chunk must be one of its roots.
    fn is_recognizable(&self) -> bool {
        self.header.version >= VERSION_PREVIOUS
            && self.base == self.view.position
            && self.out.position() > self.view.end
    }

    /// Lets the next commit point behind itself, as a bug would.
    #[cfg(test)]
    pub(crate) fn point_behind_itself(&mut self) {
        self.header.by_seqno = self.header.by_seqno.map(|root| Pointer {
            position: 1 << 40,
            ..root
        });
    }

    /// Checks a commit before its header is written.
    fn check_next(&self, next: &CommitView) -> Result<(), Violation> {
        invariant!(
            next.position >= self.view.end,
            "E24",
            "a commit lies behind the last good one"
        );
        invariant!(
            next.header.points_before(next.position),
            "E2",
            "a header points only to what was written before it"
        );
        invariant!(
            self.base != self.view.position
                || next.header.update_seq >= self.view.header.update_seq,
            "E1",
            "the high seqno of a file falls only in a rollback"
        );
        Ok(())
    }

    fn commit_header(&mut self, timestamp: u64) -> Result<(), EngineError> {
        let header = Header {
            timestamp,
            previous: self.base,
            ..self.header.clone()
        }
        .into_stored();
        let recognizable = self.is_recognizable();
        let position = self.out.header_position();
        let encoded = header.encode(block::DATA);
        let source = self.view.source.clone();
        let next = CommitView {
            source,
            header,
            position,
            end: position + to_u64(encoded.len()),
        };
        self.check_next(&next)
            .map_err(|violation| next.source.internal(violation))?;
        self.out.header(&encoded)?;
        let two_phase = self.shared.config.commit == CommitMode::TwoPhase
            || next.end - self.view.end > ONE_SYNC_BYTES_MAX
            || !recognizable;
        let preallocated_bytes = if two_phase {
            0
        } else {
            self.preallocation.extend(&self.view, &next)
        };
        self.shared.sync(&*next.source.file, &next.source.path)?;
        if two_phase {
            activate(&next)?;
            self.shared.sync(&*next.source.file, &next.source.path)?;
        }
        self.out.publish();
        self.shared.commits.add(1);
        self.shared
            .written_bytes
            .add(self.out.written_bytes() + preallocated_bytes + 1);
        self.header = next.header.clone();
        self.base = next.position;
        self.out = Appender::new(next.source.clone(), next.end);
        self.view = next;
        self.activation_due = !two_phase && activate(&self.view).is_err();
        Ok(())
    }
}
