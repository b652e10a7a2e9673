//! A run of places that one appender fills in order, while any number of readers look at those that are filled.
//!
//! The only unsafe code of the project. It is here because the once-cell that each place was before took a seventh
//! of the time of queueing an item, the copies it made apart (`docs/performance.md`); its soundness needs nothing from outside this file.
//!
//! What always holds (C26):
//! 1. The first `len` places are initialised; a place below `len` is neither written nor emptied while the run is shared.
//! 2. There is one [`Appender`] at most, it can't be cloned, and only it raises `len`, through `&mut self`. While there is
//!    one the run is shared.
//! 3. `len` is raised with release after the place was written, and read with acquire before a place is looked at.
//!
//! So a reader's slice covers only written places, nobody writes to what it covers, and dropping the whole, which needs
//! that nobody holds it any more, drops each value once. `loom-tests/tests/tail.rs` runs it in every order: loom is told
//! of every access to a place by a reader or the appender; that dropping comes after them is `Arc`'s promise, into which
//! loom does not see. `cargo +nightly miri test -p lowtide-checkpoint` runs it under Miri.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::fault::{self, Fault};
use crate::sync::{Accesses, AtomicUsize, Ordering};

/// The run, shared by its appender and its readers, and what else they share about it.
pub(crate) struct AppendOnly<H, T> {
    header: H,
    places: Box<[UnsafeCell<MaybeUninit<T>>]>,
    len: Len,
    accesses: Accesses,
}

/// On a cache line of its own: it changes with every value, what is beside it never does.
#[repr(align(64))]
struct Len(AtomicUsize);

/// The one that fills the places.
#[derive(Debug)]
pub(crate) struct Appender<H, T>(Arc<AppendOnly<H, T>>);

// SAFETY: with `&AppendOnly` one can only get `&H` and `&T`s, and the last one dropped, on whichever thread, drops them.
// The places are written through the `Appender` alone, and by rule 1 never where a reader's slice reaches.
unsafe impl<H: Send + Sync, T: Send + Sync> Sync for AppendOnly<H, T> {}

impl<H, T> AppendOnly<H, T> {
    /// `capacity` empty places.
    pub(crate) fn with_capacity(header: H, capacity: usize) -> Appender<H, T> {
        let places = (0..capacity)
            .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
            .collect();
        Appender(Arc::new(Self::new(header, places, 0)))
    }

    /// A run that is full from the start.
    pub(crate) fn full(header: H, values: impl IntoIterator<Item = T>) -> Self {
        let places: Box<[_]> = values
            .into_iter()
            .map(|value| UnsafeCell::new(MaybeUninit::new(value)))
            .collect();
        let len = places.len();
        Self::new(header, places, len)
    }

    fn new(header: H, places: Box<[UnsafeCell<MaybeUninit<T>>]>, len: usize) -> Self {
        Self {
            header,
            accesses: Accesses::new(places.len()),
            places,
            len: Len(AtomicUsize::new(len)),
        }
    }

    pub(crate) fn header(&self) -> &H {
        &self.header
    }

    /// Places, filled or not.
    pub(crate) fn capacity(&self) -> usize {
        self.places.len()
    }

    /// Those that are filled.
    pub(crate) fn as_slice(&self) -> &[T] {
        let len = self.len.0.load(Ordering::Acquire);
        self.accesses.read(len);
        // SAFETY: by rules 1 and 3 the first `len` places are initialised, their writes happened before, and they are
        // not written again while `self` is borrowed. `UnsafeCell` and `MaybeUninit` are transparent.
        unsafe { std::slice::from_raw_parts(self.places.as_ptr().cast::<T>(), len) }
    }
}

impl<H, T> AppendOnly<H, T> {
    /// Takes the values out; none is left.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let len = self.len.0.load(Ordering::Acquire);
        // First: should anything go wrong from here on, values are leaked, not dropped twice.
        self.len.0.store(0, Ordering::Release);
        let places = self.places.iter_mut().take(len);
        // SAFETY: by rule 1 each was initialised; `&mut self` is the only access, and as `len` is 0 nobody reads them again.
        places
            .map(|place| unsafe { place.get_mut().assume_init_read() })
            .collect()
    }
}

impl<H, T> Appender<H, T> {
    /// What it fills, for readers.
    pub(crate) fn shared(&self) -> &Arc<AppendOnly<H, T>> {
        &self.0
    }

    /// Fills the next place. Returns whether there was one; the value is dropped where there was none.
    #[inline]
    pub(crate) fn push(&mut self, value: T) -> bool {
        // Only this appender changes it.
        let len = self.0.len.0.load(Ordering::Relaxed);
        let Some(place) = self.0.places.get(len) else {
            return false;
        };
        if fault::is(Fault::LengthBeforeValue) {
            self.0.len.0.store(len + 1, Ordering::Release);
        }
        self.0.accesses.write(len);
        // SAFETY: the place is at `len`, so by rule 1 no slice covers it, and by rule 2 nobody else writes to it.
        unsafe { (*place.get()).write(value) };
        self.0.len.0.store(len + 1, Ordering::Release);
        true
    }
}

impl<H, T> Drop for AppendOnly<H, T> {
    fn drop(&mut self) {
        let len = self.len.0.load(Ordering::Acquire);
        for place in self.places.iter_mut().take(len) {
            // SAFETY: by rule 1 it is initialised, and `&mut self` is the last access to it.
            unsafe { place.get_mut().assume_init_drop() };
        }
    }
}

impl<H: fmt::Debug, T: fmt::Debug> fmt::Debug for AppendOnly<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendOnly")
            .field("header", &self.header)
            .field("places", &self.as_slice())
            .finish()
    }
}

#[cfg(all(test, not(checkpoint_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_run_takes_nothing_more_and_drops_every_value_once() {
        let value = Arc::new(());
        let mut appender = AppendOnly::with_capacity("header", 3);
        for filled in 0..3 {
            assert_eq!(appender.shared().as_slice().len(), filled);
            assert!(appender.push(Arc::clone(&value)));
        }
        assert!(
            !appender.push(Arc::clone(&value)),
            "there is no fourth place"
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
    fn a_half_filled_run_drops_what_is_in_it() {
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
    fn what_was_taken_out_is_not_dropped_with_the_run() {
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
    fn readers_see_a_growing_prefix_while_it_is_filled() {
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
