//! Opening with tasks that run in any order and on any thread.

use std::sync::Arc;

use super::stores::lived;
use crate::contract::{EngineError, Executor, InOrder, Task};
use crate::logstor::Logstor;
use crate::logstor::tests::support::{IMAGES, change_byte, dir, dump, hide_images, log_path};

/// An executor with a thread for each task.
#[derive(Debug)]
struct Threads;

impl Executor for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }
}

/// An executor that runs the last task first.
#[derive(Debug)]
struct Backwards;

impl Executor for Backwards {
    fn run(&self, tasks: Vec<Task<'_>>) {
        tasks.into_iter().rev().for_each(|task| task());
    }
}

/// An executor that runs nothing.
#[derive(Debug)]
struct Lazy;

impl Executor for Lazy {
    fn run(&self, _: Vec<Task<'_>>) {}
}

/// Its segments would pass for free ones.
#[test]
fn store_whose_segments_the_executor_omits_does_not_open() {
    for is_hidden in [false, true] {
        let disk = lived(IMAGES, false);
        hide_images(&disk, is_hidden);
        let opened = Logstor::open_with(Arc::new(disk.clone()), &dir(), IMAGES, &Lazy);
        assert_eq!(opened.expect_err("refused").kind(), "invalid-argument");
    }
}

#[test]
fn open_finds_the_same_with_every_executor() {
    let disk = lived(IMAGES, false);
    let open = |executor: &dyn Executor| -> Result<_, EngineError> {
        let (engine, report) =
            Logstor::open_with(Arc::new(disk.clone()), &dir(), IMAGES, executor)?;
        Ok((report, dump(&engine)))
    };
    for is_hidden in [false, true] {
        hide_images(&disk, is_hidden);
        let expected = open(&InOrder).expect("opens");
        for executor in [&Threads as &dyn Executor, &Backwards] {
            assert_eq!(open(executor).expect("opens"), expected);
        }
    }
    // The first of several damaged places is reported.
    let told = |executor: &dyn Executor| {
        open(executor)
            .map_err(|error| error.to_string())
            .map(|(report, dump)| (report.unreadable, dump))
    };
    let flip = |blocks: [u64; 3]| {
        for block in blocks {
            change_byte(&disk, &log_path(0), block * 4096 + 5, |byte| byte ^ 1);
        }
    };
    let mut errors = 0;
    for n in 0..40_u64 {
        let blocks = [n * 7 % 61, n * 11 % 61, n * 17 % 61];
        flip(blocks);
        let expected = told(&InOrder);
        assert_eq!(
            [told(&Threads), told(&Backwards)],
            [expected.clone(), expected.clone()]
        );
        errors += usize::from(expected.is_err());
        flip(blocks);
    }
    assert!(errors > 5, "{errors}");
}
