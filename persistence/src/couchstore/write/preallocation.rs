//! Preallocation: zeros behind the newest commit, so that the next commits do not make the file
//! longer.
//!
//! A sync of a file whose length is unchanged takes half the time, because the file system need not
//! write its journal.
//!
//! # Invariants
//!
//! E24. Behind the last good commit lie zeros and what the current commit has written over them,
//! and nothing else. The zeros are written behind a commit before its sync, which makes them
//! durable with it. So a part of the next commit that a power loss takes away reads as zeros, as it
//! would behind the end of a growing file. Cutting off a failed commit removes the zeros as well.
//!
//! E25. The zeros are few and temporary. They take at most [`PREALLOCATION_BYTES_MAX`], an eighth
//! of the file, and the size of [`COMMITS`] commits. Large commits and commits with two syncs get
//! none. They are not part of the file (`CommitView::end`): closing cuts them off, and so does
//! opening for writing. Readers search for a header from the end backwards, and zeros read as a
//! block of data.
//!
//! E26. A failed preallocation fails no commit: this commit and later ones continue without.

use crate::couchstore::file::CommitView;
use crate::couchstore::format::block::BLOCK_BYTES;
use crate::disk::DiskFile;

/// Most zeros behind a commit.
pub(crate) const PREALLOCATION_BYTES_MAX: u64 = 1 << 20;
/// Number of commits like the last one that the zeros must hold.
const COMMITS: u64 = 64;
/// Largest commit that gets zeros. Syncing a larger one takes long in any case.
const COMMIT_BYTES_MAX: u64 = 64 << 10;
/// Smallest ratio of the file's size to that of its zeros.
const FILE_SHARE: u64 = 8;

/// The zeros behind a file's last good commit.
#[derive(Debug)]
pub(crate) struct Preallocation {
    end: u64,
    /// Whether writing zeros has failed.
    has_failed: bool,
}

impl Preallocation {
    /// Starts without zeros, in a file that ends at `end`.
    pub(crate) const fn new(end: u64) -> Self {
        Self {
            end,
            has_failed: false,
        }
    }

    /// Writes new zeros behind `next` if none are left. `next` is the commit after `view`; its
    /// bytes are written and not yet synced. Returns the number of bytes written.
    pub(crate) fn extend(&mut self, view: &CommitView, next: &CommitView) -> u64 {
        let commit_bytes = next.end - view.end;
        if next.end <= self.end || commit_bytes > COMMIT_BYTES_MAX || self.has_failed {
            self.end = self.end.max(next.end);
            return 0;
        }
        let zero_bytes = (commit_bytes * COMMITS)
            .min(PREALLOCATION_BYTES_MAX)
            .min(next.end / FILE_SHARE);
        let end = (next.end + zero_bytes) / BLOCK_BYTES * BLOCK_BYTES;
        self.end = next.end;
        // Zeros for a single commit are not worth their write.
        if end < next.end + 2 * commit_bytes {
            return 0;
        }
        let file = &*next.source.file;
        match file.preallocate(next.end, end - next.end) {
            Ok(()) => self.end = end,
            Err(_) => {
                self.has_failed = true;
                // Other files may need the space. Zeros that stay do no harm.
                let _ = file.set_len(next.end);
            }
        }
        end - next.end
    }

    /// Returns whether zeros lie behind `view`.
    pub(crate) const fn is_behind(&self, view: &CommitView) -> bool {
        self.end > view.end
    }

    /// Cuts the file at the end of `view`.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) fn cut(
        &mut self,
        file: &dyn DiskFile,
        view: &CommitView,
    ) -> crate::disk::DiskResult<()> {
        file.set_len(view.end)?;
        self.end = view.end;
        Ok(())
    }
}
