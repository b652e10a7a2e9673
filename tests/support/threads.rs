//! An executor with threads, as a host has one: it runs a limited number of tasks at once, and
//! returns when all have ended.

use std::sync::Mutex;

use lowtide_persistence::{Executor, Task};

/// Executor that runs tasks on threads made for the call.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    threads: usize,
}

impl Threads {
    /// Returns an executor that runs at most `threads` tasks at once.
    #[must_use]
    pub const fn new(threads: usize) -> Self {
        Self { threads }
    }
}

impl Executor for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        let threads = self.threads.min(tasks.len());
        let queue = Mutex::new(tasks.into_iter());
        let next = || queue.lock().expect("nothing panics under it").next();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(task) = next() {
                        task();
                    }
                });
            }
        });
    }
}
