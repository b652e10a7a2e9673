//! Verifying one file at a header, byte by byte of what it reaches: a file goes in, findings come out.
//!
//! Looked at: every checksum; nodes, their keys, depth, sizes and sums; every row, its metadata and its body; that both
//! indexes hold the same rows; that nothing lies where something else is; local documents and the vBucket's state; the
//! headers before. Always (T1): what is wrong is told and the work goes on; nothing is written; memory is a node for
//! each level of a tree, one body, and at most a 32nd of the live part of the file, besides what the observer keeps.
//!
//! BodyReader and rows may carry sizes as older releases counted them, which is no finding.

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

/// Verifies the file at its newest header; if that is damaged, at the newest that is not. An encrypted one needs its key.
///
/// # Errors
/// [`EngineError::KeyMissing`] or [`EngineError::KeyWrong`]; [`EngineError::Unsupported`] if the file is of another
/// version than 11 to 14; [`EngineError::Disk`].
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

/// Verifies everything a commit reaches.
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

/// Follows the headers back to the first; says how many there are.
fn header_chain(view: &CommitView, observer: &mut dyn CheckObserver) -> Result<u64, EngineError> {
    let mut count = 1;
    let mut current = view.clone();
    loop {
        match header_chain::before(&current) {
            Ok(None) => return Ok(count),
            Ok(Some(older)) => {
                count += 1;
                // Before version 14 what a rollback gave up lies between, and nothing tells.
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

/// What lies behind the commit: opening the file for writing finishes it, or cuts it off.
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
