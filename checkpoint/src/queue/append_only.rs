//! An append-only run of cells: one appender fills them in order, any number of readers read them.
//!
//! This is the only unsafe code of the project. It replaced one once-cell per slot. Those cells took
//! a seventh of the time of queueing an item, copies not counted (`docs/performance.md`). The
//! soundness of this code depends on nothing outside this file.
//!
//! # Invariants (C26)
//! 1. The first `len` cells are initialised. A cell below `len` is neither written nor emptied
//!    while the run is shared.
//! 2. There is at most one [`Appender`], it cannot be cloned, and only it raises `len`, through
//!    `&mut self`. While it exists the run is shared.
//! 3. `len` is raised with release after the cell was written, and loaded with acquire before a
//!    cell is read.
//!
//! A reader's slice therefore covers only written cells, and no thread writes to them. Dropping the
//! run requires its last reference, and drops each value once.
//!
//! `loom-tests/tests/tail.rs` runs it in every order: loom sees every access to a cell by a reader
//! or the appender. That the drop comes after them is guaranteed by `Arc`, which loom does not see
//! into. `cargo +nightly miri test -p lowtide-checkpoint` runs it under Miri.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::fault::{self, Fault};
use crate::internal::sync::{Accesses, AtomicUsize, Ordering};

/// The run, shared by its appender and its readers, with a header for other shared data.
pub(crate) struct AppendOnly<H, T> {
    header: H,
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
    len: Len,
    accesses: Accesses,
}

/// The number of filled cells. It is on a cache line of its own, because it changes with every
/// value and its neighbours never change.
#[repr(align(64))]
struct Len(AtomicUsize);

/// The owner of the right to fill cells.
#[derive(Debug)]
pub(crate) struct Appender<H, T>(Arc<AppendOnly<H, T>>);

// SAFETY: a `&AppendOnly` gives only `&H` and `&T`s, and the last reference drops them on any
// thread. Cells are written through the `Appender` alone, and by rule 1 never inside a reader's
// slice.
unsafe impl<H: Send + Sync, T: Send + Sync> Sync for AppendOnly<H, T> {}

impl<H, T> AppendOnly<H, T> {
    /// Creates a run of `capacity` empty cells.
    pub(crate) fn with_capacity(header: H, capacity: usize) -> Appender<H, T> {
        let cells = (0..capacity)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect();
        Appender(Arc::new(Self::new(header, cells, 0)))
    }

    /// Creates a run that is full from the start.
    pub(crate) fn full(header: H, values: impl IntoIterator<Item = T>) -> Self {
        let cells: Box<[_]> = values
            .into_iter()
            .map(|value| UnsafeCell::new(MaybeUninit::new(value)))
            .collect();
        let len = cells.len();
        Self::new(header, cells, len)
    }

    fn new(header: H, cells: Box<[UnsafeCell<MaybeUninit<T>>]>, len: usize) -> Self {
        Self {
            header,
            accesses: Accesses::new(cells.len()),
            cells,
            len: Len(AtomicUsize::new(len)),
        }
    }

    pub(crate) fn header(&self) -> &H {
        &self.header
    }

    /// Returns the number of cells, filled or not.
    pub(crate) fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// Returns the filled cells.
    pub(crate) fn as_slice(&self) -> &[T] {
        let len = self.len.0.load(Ordering::Acquire);
        self.accesses.read(len);
        // SAFETY: by rules 1 and 3 the first `len` cells are initialised, their writes happened
        // before, and they are not written again while `self` is borrowed. `UnsafeCell` and
        // `MaybeUninit` are transparent.
        unsafe { std::slice::from_raw_parts(self.cells.as_ptr().cast::<T>(), len) }
    }
}

impl<H, T> AppendOnly<H, T> {
    /// Moves the values out and leaves the run empty.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let len = self.len.0.load(Ordering::Acquire);
        // Stored first: a panic after this leaks values instead of dropping them twice.
        self.len.0.store(0, Ordering::Release);
        let cells = self.cells.iter_mut().take(len);
        // SAFETY: by rule 1 each cell was initialised. `&mut self` is the only access, and as `len`
        // is 0 no later call reads the cells again.
        cells
            .map(|cell| unsafe { cell.get_mut().assume_init_read() })
            .collect()
    }
}

impl<H, T> Appender<H, T> {
    /// Returns the run that it fills, for readers.
    pub(crate) fn shared(&self) -> &Arc<AppendOnly<H, T>> {
        &self.0
    }

    /// Fills the next cell. Returns `false` and drops the value if the run is full.
    #[inline]
    pub(crate) fn push(&mut self, value: T) -> bool {
        // Relaxed: only this appender changes it.
        let len = self.0.len.0.load(Ordering::Relaxed);
        let Some(cell) = self.0.cells.get(len) else {
            return false;
        };
        if fault::is(Fault::LengthBeforeValue) {
            self.0.len.0.store(len + 1, Ordering::Release);
        }
        self.0.accesses.write(len);
        // SAFETY: the cell is at `len`, so by rule 1 no slice covers it, and by rule 2 no other
        // thread writes to it.
        unsafe { (*cell.get()).write(value) };
        self.0.len.0.store(len + 1, Ordering::Release);
        true
    }
}

impl<H, T> Drop for AppendOnly<H, T> {
    fn drop(&mut self) {
        let len = self.len.0.load(Ordering::Acquire);
        for cell in self.cells.iter_mut().take(len) {
            // SAFETY: by rule 1 it is initialised, and `&mut self` is the last access to it.
            unsafe { cell.get_mut().assume_init_drop() };
        }
    }
}

impl<H: fmt::Debug, T: fmt::Debug> fmt::Debug for AppendOnly<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendOnly")
            .field("header", &self.header)
            .field("cells", &self.as_slice())
            .finish()
    }
}

#[cfg(all(test, not(checkpoint_loom)))]
mod tests {
    use super::*;

    #[test]
    fn full_run_refuses_values_and_drops_each_once() {
        let value = Arc::new(());
        let mut appender = AppendOnly::with_capacity("header", 3);
        for filled in 0..3 {
            assert_eq!(appender.shared().as_slice().len(), filled);
            assert!(appender.push(Arc::clone(&value)));
        }
        assert!(
            !appender.push(Arc::clone(&value)),
            "there is no fourth cell"
        );
        let reader = Arc::clone(appender.shared());
        assert_eq!(
            (
                *reader.header(),
                reader.capacity(),
                Arc::strong_count(&value)
            ),
            ("header", 3, 4)
        );
        drop(appender);
        assert_eq!(reader.as_slice().len(), 3);
        drop(reader);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn partially_filled_run_drops_its_values() {
        let value = Arc::new(());
        let mut appender = AppendOnly::with_capacity((), 8);
        appender.push(Arc::clone(&value));
        drop(appender);
        drop(AppendOnly::full(
            (),
            [Arc::clone(&value), Arc::clone(&value)],
        ));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn taken_values_are_not_dropped_with_the_run() {
        let value = Arc::new(());
        let mut run = AppendOnly::full((), [Arc::clone(&value), Arc::clone(&value)]);
        let taken = run.take();
        assert_eq!(
            (taken.len(), run.as_slice().len(), run.take().len()),
            (2, 0, 0)
        );
        drop(run);
        assert_eq!(Arc::strong_count(&value), 3);
    }

    #[test]
    fn reader_sees_a_growing_prefix_while_the_run_is_filled() {
        let mut appender = AppendOnly::with_capacity((), 100);
        let reader = Arc::clone(appender.shared());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut seen = 0;
                while seen < 100 {
                    let filled = reader.as_slice();
                    assert!(filled.len() >= seen);
                    seen = filled.len();
                    assert!(
                        filled
                            .iter()
                            .enumerate()
                            .all(|(at, value)| *value == format!("{at}"))
                    );
                    std::thread::yield_now();
                }
            });
            for value in 0..100 {
                assert!(appender.push(format!("{value}")));
            }
        });
    }
}
