//! Numbered work on several threads, with results in the order of the numbers.
//!
//! # Invariants
//!
//! - W17. Results arrive in the order of their numbers, each as soon as possible, regardless of the
//!   number of threads.
//! - After a refused result no more work starts.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

/// Performs the work of each number below `count` on that number of threads, and passes the results
/// to `take`.
///
/// # Errors
/// The first error of `take`. Work that has started is awaited, and its results are dropped.
///
/// # Panics
/// If the work panics.
pub(super) fn in_order<T: Send, E>(
    threads: NonZeroUsize,
    count: u64,
    work: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> Result<(), E>,
) -> Result<(), E> {
    let begun = AtomicU64::new(0);
    let threads = u64::try_from(threads.get()).unwrap_or(u64::MAX).min(count);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads {
            let sender = sender.clone();
            let begun = &begun;
            let work = &work;
            scope.spawn(move || {
                // After a dropped receiver no result is needed.
                while let Some(number) = next(begun, count)
                    && sender.send((number, work(number))).is_ok()
                {}
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&due) {
                take(due, result)?;
                due += 1;
            }
        }
        Ok(())
    })
}

/// Returns the number of threads that this machine runs at once.
pub(super) fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn next(begun: &AtomicU64, count: u64) -> Option<u64> {
    // The threads share only this number.
    begun
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (next < count).then_some(next + 1)
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("more than none")
    }

    /// Guards W17: the first number's work ends last.
    #[test]
    fn results_are_in_order_regardless_of_the_first_to_end() {
        let (gone, last) = mpsc::channel();
        let last = std::sync::Mutex::new(last);
        let work = |number: u64| {
            if number == 0 {
                for _ in 1..100 {
                    last.lock().expect("sound").recv().expect("a number");
                }
            } else {
                gone.send(number).expect("awaited");
            }
            number * 7
        };
        let mut taken = Vec::new();
        let done = in_order(threads(3), 100, work, |number, result| {
            taken.push((number, result));
            Ok::<_, ()>(())
        });
        assert_eq!(done, Ok(()));
        assert!(
            taken
                .iter()
                .copied()
                .eq((0..100).map(|number| (number, number * 7))),
            "{taken:?}"
        );
    }

    #[test]
    fn extra_threads_do_no_extra_work() {
        for (workers, count) in [(8, 3), (1, 5), (4, 0)] {
            let mut taken = Vec::new();
            let done = in_order(
                threads(workers),
                count,
                |number| number,
                |number, _| {
                    taken.push(number);
                    Ok::<_, ()>(())
                },
            );
            assert_eq!((done, taken), (Ok(()), (0..count).collect()));
        }
    }

    /// Otherwise this test would not end.
    #[test]
    fn refusal_stops_further_work() {
        for workers in [1, 3] {
            let refuse = |number, _| if number < 2 { Ok(()) } else { Err(number) };
            assert_eq!(
                in_order(threads(workers), u64::MAX, |number| number, refuse),
                Err(2)
            );
        }
    }
}
