//! The verification of one row or one body, and the error that refuses the source.

use crate::contract::EngineError;
use crate::couchstore::file::CommitView;
use crate::couchstore::format::{DocInfo, Tree, by_seqno};
use crate::couchstore::tools::check::row_flaws;
use crate::couchstore::tools::{Finding, FindingKind, SurveyedRow};

pub(crate) fn decoded(
    view: &CommitView,
    tree: Tree,
    row: &SurveyedRow,
) -> Result<DocInfo, EngineError> {
    row_flaws::decode(tree, &row.key, &row.value).ok_or_else(|| {
        let what = "row is too short".to_owned();
        let mut finding = Finding::new(FindingKind::Row, row.leaf, what).in_tree(tree);
        match tree {
            Tree::BySeqno => finding.seqno = by_seqno::seqno(&row.key),
            Tree::ById | Tree::Local => finding.key = Some(row.key.clone()),
        }
        refusal(view, &finding)
    })
}

/// Verifies a row by itself. Its body is not read.
///
/// # Errors
/// [`EngineError::Corrupt`].
pub(crate) fn check_row(view: &CommitView, leaf: u64, info: &DocInfo) -> Result<(), EngineError> {
    match row_flaws::flaws(view.header.update_seq, info)
        .into_iter()
        .next()
    {
        None => Ok(()),
        Some((kind, what)) => {
            let finding = Finding::new(kind, leaf, what).in_tree(Tree::BySeqno);
            Err(refusal(view, &finding.of_row(info.seqno, &info.id)))
        }
    }
}

/// Verifies a body whose checksum matches.
///
/// # Errors
/// [`EngineError::Corrupt`].
pub(crate) fn check_body(
    view: &CommitView,
    info: &DocInfo,
    stored: &[u8],
) -> Result<(), EngineError> {
    row_flaws::body_flaw(info, stored).map_or(Ok(()), |what| {
        let finding = Finding::new(FindingKind::Body, info.body_position, what.to_owned());
        Err(refusal(view, &finding.of_row(info.seqno, &info.id)))
    })
}

pub(crate) fn refusal(view: &CommitView, finding: &Finding) -> EngineError {
    view.source.corrupt(
        finding.offset,
        format!("{}; nothing was changed", finding.without_offset()),
    )
}
