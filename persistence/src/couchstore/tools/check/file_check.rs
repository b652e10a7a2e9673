//! The check of one file, part by part.
//!
//! These parts are checked:
//! - every checksum;
//! - nodes, their keys, depth, sizes and sums;
//! - every row, its metadata and its body;
//! - that both indexes hold the same rows;
//! - that nothing overlaps anything else;
//! - local documents and the vBucket's state;
//! - the headers before.
//!
//! Sizes of bodies and rows as older releases counted them are no finding.

use std::path::Path;
use std::sync::Arc;

use crate::contract::EngineError;
use crate::couchstore::file::{
    CommitView, Extents, Keyring, encryption, header_chain, header_search,
};
use crate::couchstore::format::Tree;
use crate::couchstore::format::header::VERSION_PREVIOUS;
use crate::couchstore::tools::tree_survey;
use crate::couchstore::write::tail_recovery;
use crate::disk::{Access, Disk};

use super::digest::Digest;
use super::finding::{Finding, FindingKind};
use super::observer::{CheckObserver, CheckReport};
use super::row_check::{Prepares, RowCheck};
use super::state_check::StateCheck;
use super::{body_check, index_comparison};

/// Checks the file at its newest header, or at its newest sound one. An encrypted file needs its
/// key.
///
/// # Errors
/// [`EngineError::KeyMissing`] or [`EngineError::KeyWrong`]; [`EngineError::Unsupported`] if the
/// file is of another version than 11 to 14; [`EngineError::Disk`].
pub fn check_file(
    disk: &dyn Disk,
    path: &Path,
    keys: &Keyring,
    observer: &mut dyn CheckObserver,
) -> Result<CheckReport, EngineError> {
    let file = disk.open(path, Access::ReadOnly)?;
    let (view, damage) = header_search::newest_whole(Arc::clone(&file), path, keys)?;
    for error in damage {
        observer.found(Finding::of_error(FindingKind::Header, error)?);
    }
    let Some(view) = view else {
        return Ok(CheckReport {
            file_bytes: file.len()?,
            ..CheckReport::default()
        });
    };
    tail(&view, observer)?;
    check_commit(&view, observer)
}

/// Checks everything a commit reaches.
///
/// # Errors
/// [`EngineError::Disk`].
pub(crate) fn check_commit(
    view: &CommitView,
    observer: &mut dyn CheckObserver,
) -> Result<CheckReport, EngineError> {
    let mut taken = Extents::default();
    taken.take(0, encryption::block_bytes(view)?);
    let mut report = CheckReport {
        file_bytes: view.source.file.len()?,
        ..CheckReport::default()
    };
    report.headers = header_chain(view, observer)?;

    let mut digests = [Digest::default(); 2];
    let mut prepares = Prepares::default();
    for (tree, digest) in [Tree::BySeqno, Tree::ById].into_iter().zip(&mut digests) {
        let mut check = RowCheck::new(view, tree, observer);
        tree_survey::survey(view, tree, &mut taken, &mut check)?;
        let seen = check.finish();
        *digest = seen.digest;
        report.nodes += seen.nodes;
        if tree == Tree::BySeqno {
            report.rows = seen.digest.rows;
            prepares = seen.prepares;
        }
    }
    let bodies = body_check::bodies(view, &mut taken, observer)?;
    (report.bodies, report.body_bytes) = (bodies.count, bodies.bytes);
    let [by_seqno, by_id] = digests;
    if by_seqno != by_id {
        index_comparison::compare(view, observer)?;
    }
    let mut check = StateCheck::new(view, observer);
    tree_survey::survey(view, Tree::Local, &mut taken, &mut check)?;
    report.nodes += check.finish(prepares);
    purge_seqno(view, observer);
    Ok(report)
}

/// Follows the headers back to the first. Returns their number.
fn header_chain(view: &CommitView, observer: &mut dyn CheckObserver) -> Result<u64, EngineError> {
    let mut count = 1;
    let mut current = view.clone();
    loop {
        match header_chain::before(&current) {
            Ok(None) => return Ok(count),
            Ok(Some(older)) => {
                count += 1;
                // Before version 14 headers that a rollback abandoned lie between, and nothing
                // marks them.
                if older.header.version >= VERSION_PREVIOUS
                    && older.header.update_seq > current.header.update_seq
                {
                    let what = format!(
                        "header's high seqno {} is above {}, that of the header after it",
                        older.header.update_seq, current.header.update_seq
                    );
                    observer.found(Finding::new(FindingKind::Chain, older.position, what));
                }
                current = older;
            }
            Err(error) => {
                observer.found(Finding::of_error(FindingKind::Chain, error)?);
                return Ok(count);
            }
        }
    }
}

/// Reports bytes behind the commit. Opening the file for writing completes that commit or cuts them
/// off.
fn tail(view: &CommitView, observer: &mut dyn CheckObserver) -> Result<(), EngineError> {
    let len = view.source.file.len()?;
    if len <= view.end {
        return Ok(());
    }
    let what = match tail_recovery::successor(view)? {
        Some(next) => format!(
            "a complete commit with high seqno {} is not activated: opening the store for writing does that",
            next.header.update_seq
        ),
        None => format!(
            "{} bytes after the newest header belong to no commit",
            len - view.end
        ),
    };
    observer.found(Finding::new(FindingKind::Tail, view.end, what));
    Ok(())
}

fn purge_seqno(view: &CommitView, observer: &mut dyn CheckObserver) {
    let (high, purge) = (view.header.update_seq, view.header.purge_seq);
    if purge > high {
        let what = format!("purge seqno {purge} is above the high seqno {high}");
        observer.found(Finding::new(FindingKind::PurgeSeqno, view.position, what));
    }
}
