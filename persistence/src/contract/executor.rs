//! Execution of independent work: an engine hands in tasks, and the host decides where they run.
//!
//! Engines own no threads.
//!
//! # Invariants
//!
//! No task waits for another, and an engine's result does not depend on the tasks' order. Any
//! executor that runs each task once, to its end, is therefore as good as any other.

use std::fmt;

/// One piece of work.
pub type Task<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs independent tasks. A host with threads gives an engine an executor that uses them;
/// [`InOrder`] needs none.
///
/// ```
/// use lowtide_persistence::{Executor, Task};
///
/// /// A thread for each task.
/// #[derive(Debug)]
/// struct Threads;
///
/// impl Executor for Threads {
///     fn run(&self, tasks: Vec<Task<'_>>) {
///         std::thread::scope(|scope| {
///             for task in tasks {
///                 scope.spawn(task);
///             }
///         });
///     }
/// }
/// ```
pub trait Executor: Send + Sync + fmt::Debug {
    /// Runs each task once, in any order, on any threads. Returns when all have ended.
    fn run(&self, tasks: Vec<Task<'_>>);
}

/// Runs tasks one after the other on the calling thread: every run is the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct InOrder;

impl Executor for InOrder {
    fn run(&self, tasks: Vec<Task<'_>>) {
        tasks.into_iter().for_each(|task| task());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Mutex, ranks};

    #[test]
    fn tasks_run_in_order() {
        let ran = Mutex::new(ranks::TEST, Vec::new());
        let tasks = (0..5).map(|number| -> Task<'_> {
            let ran = &ran;
            Box::new(move || ran.lock().push(number))
        });
        InOrder.run(tasks.collect());
        assert_eq!(ran.into_inner(), [0, 1, 2, 3, 4]);
    }
}
