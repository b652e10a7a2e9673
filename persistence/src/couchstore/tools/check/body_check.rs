//! The check of the bodies that the rows of the by-seqno index point to.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{CommitView, Extents, chunk};
use crate::couchstore::format::chunk_head::HEAD_BYTES;
use crate::couchstore::format::{DocInfo, Tree, block, by_seqno};
use crate::couchstore::tools::surveyor::{Flaw, SurveyedNode, Surveyor};
use crate::couchstore::tools::tree_survey;

use super::finding::{Finding, FindingKind};
use super::observer::CheckObserver;
use super::row_flaws;

/// Number and size of the bodies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyTotals {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Checks every body. Nodes are taken first: of a body and a node that overlap, the body is at
/// fault.
pub(crate) fn bodies(
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
    tree_survey::survey(view, Tree::BySeqno, &mut Extents::default(), &mut check)?;
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
    /// Reads a row's body. Returns its flaw, if it has one.
    fn flaw_of(&mut self, info: &DocInfo) -> Result<Option<(FindingKind, String)>, EngineError> {
        let source = &self.view.source;
        let hint = info.physical_bytes.saturating_sub(HEAD_BYTES);
        let stored = match chunk::read(source, info.body_position, hint, self.view.position) {
            Ok(stored) => stored,
            Err(EngineError::Corrupt { what, .. }) => return Ok(Some((FindingKind::Body, what))),
            Err(error) => return Err(error),
        };
        let disk_bytes = chunk::disk_bytes(source, &stored);
        let (start, end) = block::extent(info.body_position, disk_bytes);
        self.bodies.count += 1;
        self.bodies.bytes += disk_bytes;
        if !self.taken.take(start, end) {
            let what = "body overlaps something else".to_owned();
            return Ok(Some((FindingKind::Overlap, what)));
        }
        if let Some(what) = row_flaws::body_flaw(info, &stored) {
            return Ok(Some((FindingKind::Body, what.to_owned())));
        }
        if !row_flaws::is_plausible(info.physical_bytes, disk_bytes) {
            let what = format!(
                "row says {} bytes, the body takes {disk_bytes}",
                info.physical_bytes
            );
            return Ok(Some((FindingKind::BodyBytes, what)));
        }
        Ok(None)
    }
}

impl Surveyor for BodyCheck<'_> {
    fn node(&mut self, _: SurveyedNode) {}

    fn row(&mut self, _: u64, key: &Bytes, value: &Bytes) -> Result<(), EngineError> {
        self.rows += 1;
        self.observer.progress(self.rows, self.total);
        let Some(info) = by_seqno::decode(key, value) else {
            return Ok(());
        };
        if info.body_position == 0 {
            return Ok(());
        }
        if let Some((kind, what)) = self.flaw_of(&info)? {
            self.observer
                .found(Finding::new(kind, info.body_position, what).of_row(info.seqno, &info.id));
        }
        Ok(())
    }

    // Flaws were reported when the rows were checked.
    fn flaw(&mut self, _: Flaw) {}
}
