//! The rows of both indexes, one by one, and the bodies that the by-seqno index points to.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{CommitView, Extents, chunk};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{DocInfo, Tree, by_id, by_seqno, document, snappy};
use crate::couchstore::survey::{self, Flaw, FlawKind, Surveyed, Surveyor};

use super::cross::Digest;
use super::{CheckObserver, Finding, FindingKind, extent};

/// Pending prepares, as the vBucket's state counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prepares {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// What the rows of an index come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) nodes: u64,
    pub(super) digest: Digest,
    pub(super) prepares: Prepares,
}

/// Looks at an index's nodes and rows.
pub(super) struct RowCheck<'a> {
    view: &'a CommitView,
    tree: Tree,
    observer: &'a mut dyn CheckObserver,
    seen: Seen,
}

/// The row of an index; `None` if it is too short.
pub(in crate::couchstore) fn decode(tree: Tree, key: &Bytes, value: &Bytes) -> Option<DocInfo> {
    match tree {
        Tree::BySeqno => by_seqno::decode(key, value),
        Tree::ById => by_id::decode(key, value),
        Tree::Local => None,
    }
}

/// A tree's flaw as a finding.
pub(in crate::couchstore) fn finding(tree: Tree, flaw: Flaw) -> Finding {
    let kind = match flaw.kind {
        FlawKind::Lost(_) => FindingKind::Node,
        FlawKind::Structure => FindingKind::Structure,
        FlawKind::Size => FindingKind::SubtreeBytes,
        FlawKind::Reduction => FindingKind::Reduction,
        FlawKind::Overlap(_) => FindingKind::Overlap,
    };
    let mut finding = Finding::new(kind, flaw.position, flaw.what).in_tree(tree);
    match tree {
        Tree::BySeqno => finding.seqno = flaw.key.as_deref().and_then(by_seqno::seqno),
        Tree::ById | Tree::Local => finding.key = flaw.key,
    }
    finding
}

impl<'a> RowCheck<'a> {
    pub(super) fn new(
        view: &'a CommitView,
        tree: Tree,
        observer: &'a mut dyn CheckObserver,
    ) -> Self {
        Self {
            view,
            tree,
            observer,
            seen: Seen::default(),
        }
    }

    pub(super) fn finish(self) -> Seen {
        self.seen
    }

    fn told(&mut self, kind: FindingKind, leaf: u64, info: &DocInfo, what: String) {
        let finding = Finding::new(kind, leaf, what)
            .in_tree(self.tree)
            .of_row(info.seqno, &info.id);
        self.observer.found(finding);
    }

    fn check(&mut self, leaf: u64, info: &DocInfo) {
        for (kind, what) in flaws(self.view.header.update_seq, info) {
            self.told(kind, leaf, info, what);
        }
    }
}

/// What is wrong with a row by itself, in a commit with this high seqno. Its body is not read.
pub(in crate::couchstore) fn flaws(high: u64, info: &DocInfo) -> Vec<(FindingKind, String)> {
    let mut flaws = Vec::new();
    if info.seqno.0 == 0 || info.seqno.0 > high {
        flaws.push((
            FindingKind::Seqno,
            format!("seqno {} is not one of 1 to {high}", info.seqno),
        ));
    }
    if let Err(what) = document::to_item(info, None) {
        flaws.push((FindingKind::Meta, what.to_owned()));
    }
    if info.body_position == 0 && !info.deleted {
        flaws.push((FindingKind::Body, document::NO_BODY.to_owned()));
    }
    if info.body_position == 0 && info.physical_bytes != 0 {
        let what = format!(
            "no body, yet it is said to take {} bytes",
            info.physical_bytes
        );
        flaws.push((FindingKind::Body, what));
    }
    flaws
}

/// What is wrong with a body whose checksum matches.
pub(in crate::couchstore) fn body_flaw(info: &DocInfo, stored: &[u8]) -> Option<&'static str> {
    (info.is_compressed() && snappy::decompress(stored).is_none())
        .then_some("body is no snappy block")
}

impl Surveyor for RowCheck<'_> {
    fn node(&mut self, _: Surveyed) {
        self.seen.nodes += 1;
    }

    fn row(&mut self, leaf: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        let Some(info) = decode(self.tree, key, value) else {
            let flaw = Flaw {
                kind: FlawKind::Structure,
                position: leaf,
                key: Some(key.clone()),
                what: "row is too short".to_owned(),
            };
            self.observer.found(Finding {
                kind: FindingKind::Row,
                ..finding(self.tree, flaw)
            });
            return Ok(());
        };
        self.seen.digest.add(&info);
        // The other index has the same rows, or is told to differ.
        if self.tree == Tree::BySeqno {
            if document::is_prepared(&info.id) && !info.deleted {
                self.seen.prepares.count += 1;
                self.seen.prepares.bytes += info.physical_bytes;
            }
            self.check(leaf, &info);
        }
        Ok(())
    }

    fn flaw(&mut self, flaw: Flaw) {
        self.observer.found(finding(self.tree, flaw));
    }
}

/// How many bodies there are, and what they take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BodyTotals {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// Reads every body. After the nodes: a body that lies where a node is, is the one that is wrong.
pub(super) fn bodies(
    view: &CommitView,
    taken: &mut Extents,
    observer: &mut dyn CheckObserver,
) -> Result<BodyTotals, EngineError> {
    let info = view.info();
    let total = info.items.saturating_add(info.deleted);
    let mut check = BodyCheck {
        view,
        taken,
        observer,
        bodies: BodyTotals::default(),
        rows: 0,
        total,
    };
    survey::survey(view, Tree::BySeqno, &mut Extents::default(), &mut check)?;
    Ok(check.bodies)
}

struct BodyCheck<'a> {
    view: &'a CommitView,
    taken: &'a mut Extents,
    observer: &'a mut dyn CheckObserver,
    bodies: BodyTotals,
    rows: u64,
    total: u64,
}

impl BodyCheck<'_> {
    /// What is wrong with a row's body.
    fn check(&mut self, info: &DocInfo) -> Result<Result<(), (FindingKind, String)>, EngineError> {
        let source = &self.view.source;
        let hint = info.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = match chunk::read(source, info.body_position, hint, self.view.position) {
            Ok(stored) => stored,
            Err(EngineError::Corrupt { what, .. }) => return Ok(Err((FindingKind::Body, what))),
            Err(error) => return Err(error),
        };
        let disk_bytes = chunk::disk_bytes(source, &stored);
        let (start, end) = extent(info.body_position, disk_bytes);
        self.bodies.count += 1;
        self.bodies.bytes += disk_bytes;
        if !self.taken.take(start, end) {
            return Ok(Err((
                FindingKind::Overlap,
                "body lies where something else is".to_owned(),
            )));
        }
        if let Some(what) = body_flaw(info, &stored) {
            return Ok(Err((FindingKind::Body, what.to_owned())));
        }
        if !is_plausible(info.physical_bytes, disk_bytes) {
            let what = format!(
                "row says {} bytes, the body takes {disk_bytes}",
                info.physical_bytes
            );
            return Ok(Err((FindingKind::BodyBytes, what)));
        }
        Ok(Ok(()))
    }
}

/// Whether a row's size of a body can be right. Compaction copies sizes as they were: with the type bytes inside the
/// chunk, or as of an encrypted one.
pub(in crate::couchstore) const fn is_plausible(told: u64, disk_bytes: u64) -> bool {
    const ENCRYPTION_BYTES: u64 = 12;
    let most = disk_bytes + ENCRYPTION_BYTES;
    told >= disk_bytes && told <= most + most / 4095 + 1
}

impl Surveyor for BodyCheck<'_> {
    fn node(&mut self, _: Surveyed) {}

    fn row(&mut self, _: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        self.rows += 1;
        self.observer.progress(self.rows, self.total);
        let Some(info) = by_seqno::decode(key, value) else {
            return Ok(());
        };
        if info.body_position == 0 {
            return Ok(());
        }
        if let Err((kind, what)) = self.check(&info)? {
            self.observer
                .found(Finding::new(kind, info.body_position, what).of_row(info.seqno, &info.id));
        }
        Ok(())
    }

    // Told when the rows were looked at.
    fn flaw(&mut self, _: Flaw) {}
}
