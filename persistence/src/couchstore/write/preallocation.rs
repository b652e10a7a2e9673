//! Room behind the newest commit, filled with zeros in advance: a sync that need not make the file longer takes half the
//! time, because the file system need not write its journal.
//!
//! E24. Behind the last good commit lie zeros, and what the commit that is being made has written over them; never
//! anything else. The zeros are written behind a commit before its sync, which makes them durable with it. So whatever
//! of the next commit a power loss takes away reads as zeros, as behind the end of a file that grows. A failed commit
//! takes the room with it when it is cut off.
//!
//! E25. Room is small, and goes: [`PREALLOCATION_BYTES_MAX`], an eighth of the file, [`COMMITS`] commits, whichever is least; none
//! for commits that are large, or take two syncs. It counts as no part of the file (`CommitView::end`), and closing, like
//! opening for writing, cuts it off. Readers look for a header from the end backwards, and zeros are a block of data.
//!
//! E26. Room that can't be had fails no commit: it goes on without, and so do those after it.

use crate::couchstore::file::CommitView;
use crate::couchstore::format::block::BLOCK_BYTES;
use crate::disk::DiskFile;

/// The most there ever is behind a commit.
pub(crate) const PREALLOCATION_BYTES_MAX: u64 = 1 << 20;
/// For how many commits like the last.
const COMMITS: u64 = 64;
/// Syncing a larger commit takes long in any case.
const COMMIT_BYTES_MAX: u64 = 64 << 10;
/// The file is so many times larger than its room.
const FILE_SHARE: u64 = 8;

/// Where the zeros behind a file's last good commit end.
#[derive(Debug)]
pub(crate) struct Preallocation {
    end: u64,
    /// There was none to be had.
    given_up: bool,
}

impl Preallocation {
    /// None yet, in a file that ends there.
    pub(crate) const fn new(end: u64) -> Self {
        Self {
            end,
            given_up: false,
        }
    }

    /// Before the sync of `next`, the commit after `view`, whose bytes are all written: fills new room behind it if there
    /// is none left. Returns how many bytes it wrote.
    pub(crate) fn extend(&mut self, view: &CommitView, next: &CommitView) -> u64 {
        let commit_bytes = next.end - view.end;
        if next.end <= self.end || commit_bytes > COMMIT_BYTES_MAX || self.given_up {
            self.end = self.end.max(next.end);
            return 0;
        }
        let room_bytes = (commit_bytes * COMMITS)
            .min(PREALLOCATION_BYTES_MAX)
            .min(next.end / FILE_SHARE);
        let end = (next.end + room_bytes) / BLOCK_BYTES * BLOCK_BYTES;
        self.end = next.end;
        // For a single commit it does not pay.
        if end < next.end + 2 * commit_bytes {
            return 0;
        }
        let file = &*next.source.file;
        match file.preallocate(next.end, end - next.end) {
            Ok(()) => self.end = end,
            Err(_) => {
                self.given_up = true;
                // Others may need the space. Zeros that stay do no harm.
                let _ = file.set_len(next.end);
            }
        }
        end - next.end
    }

    /// Whether the file has room behind `view`.
    pub(crate) const fn is_behind(&self, view: &CommitView) -> bool {
        self.end > view.end
    }

    /// Cuts the file where `view` ends.
    ///
    /// # Errors
    /// Whatever the disk reports.
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
