//! The comparison of a vBucket with its naive model, after each step.

use std::collections::BTreeMap;

use lowtide_checkpoint::{FailoverLog, State};
use proptest::prelude::*;

use crate::naive::Naive;
use crate::world::{History, World};

pub type Step = Result<(), TestCaseError>;

impl World {
    pub fn compare(&self) -> Step {
        let violations = self.vbucket.manager().check();
        same(violations, Vec::<String>::new())?;
        same(self.vbucket.state(), self.naive.state)?;
        same(self.vbucket.high_seqno().0, self.naive.high)?;
        same(
            self.vbucket.high_completed_seqno().0,
            self.naive.completed(),
        )?;
        let all = self.naive.at(self.naive.high, false, false);
        same(self.vbucket.purge_seqno().0, all.purge)?;
        same(log(&self.vbucket.failover_log()), self.naive.log.clone())?;
        let Naive {
            high,
            whole,
            snapshot_end,
            ..
        } = self.naive;
        let is_whole = self.naive.state == State::Active || whole == high;
        let expected = if is_whole {
            (high, high, high)
        } else {
            (high, whole, snapshot_end)
        };
        let resume = self.vbucket.resume_point();
        same(
            (
                resume.seqno.0,
                resume.snapshot_start.0,
                resume.snapshot_end.0,
            ),
            expected,
        )
    }
}

pub fn log(log: &FailoverLog) -> Vec<(u64, u64)> {
    log.entries()
        .iter()
        .map(|entry| (entry.uuid.0, entry.seqno.0))
        .collect()
}

/// Returns the newest operation of each key.
pub fn newest(history: &History) -> BTreeMap<&str, u64> {
    history
        .iter()
        .map(|(seqno, key)| (key.as_str(), *seqno))
        .collect()
}

pub fn fail(error: &dyn std::error::Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

pub fn same<T: PartialEq + std::fmt::Debug>(got: T, expected: T) -> Step {
    prop_assert!(
        got == expected,
        "the vBucket gave\n{got:#?}\ninstead of\n{expected:#?}"
    );
    Ok(())
}
