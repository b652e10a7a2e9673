//! Read-ahead of a history, so that git's work overlaps with the simulator's.
//!
//! ```text
//! git log -> asks --commits--> answers --batches--> consumer
//!              \-> git cat-file ->/                    |
//!                          ^----------credits---------/
//! ```
//!
//! It reads the batches of a commit's history, oldest first.
//!
//! # Invariants
//!
//! - One thread writes to `git cat-file` and another reads from it, so neither waits for the other
//!   in a circle.
//! - The read-ahead is bounded in bytes: a batch costs credits, which the consumer returns when it
//!   takes the batch.
//! - Dropping the pipeline at any moment ends both processes and both threads.

use std::io::{BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::thread::JoinHandle;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::command::Git;
use super::history::{After, Commit, HistoryReader};
use super::object_id::ObjectId;
use super::output::ReadError;
use super::process::{Process, spawn};
use super::{blobs, history};
use crate::input::error::InputError;
use crate::input::source::{Change, ChangeBatch};

/// Size of the read-ahead in credits. A batch costs at least one, and one per mebibyte.
const CREDITS: usize = 64;
const CREDIT_BYTES: usize = 1 << 20;

/// Number of commits that are read before their contents.
const COMMITS_AHEAD: usize = 64;

pub(super) struct Pipeline {
    /// Dropped first, which stops the threads.
    ends: Option<Ends>,
    log: Process,
    cat: Process,
    threads: Vec<JoinHandle<()>>,
}

/// The consumer's ends of the channels.
struct Ends {
    batches: Receiver<Result<Ready, Failure>>,
    credits: Sender<()>,
}

/// A batch with the credits that it holds.
struct Ready {
    batch: ChangeBatch,
    cost: usize,
}

struct Failure {
    error: InputError,
    /// Process whose output ended too early, which may know the reason.
    ended: Option<Role>,
}

#[derive(Clone, Copy)]
enum Role {
    Log,
    Cat,
}

impl Failure {
    fn from_read(error: ReadError, role: Role) -> Self {
        match error {
            ReadError::CutShort(error) => Self {
                error,
                ended: Some(role),
            },
            ReadError::Other(error) => Self { error, ended: None },
        }
    }
}

impl Pipeline {
    /// Starts reading the `commits` commits that end with `head`.
    pub(super) fn start(git: &Git, head: &ObjectId, commits: u64) -> Result<Self, InputError> {
        let (log, log_pipes) =
            Process::start(history::COMMAND, git.command(&history::arguments(head)))?;
        drop(log_pipes.stdin);
        let (cat, cat_pipes) = Process::start(blobs::COMMAND, git.command(&blobs::ARGUMENTS))?;

        let (commit_sender, commit_receiver) = bounded(COMMITS_AHEAD);
        let (batch_sender, batch_receiver) = bounded(CREDITS);
        let (credit_sender, credit_receiver) = bounded(CREDITS);
        for _ in 0..CREDITS {
            // There is room for every credit.
            let _ = credit_sender.try_send(());
        }
        let ends = Some(Ends {
            batches: batch_receiver,
            credits: credit_sender,
        });
        let mut pipeline = Self {
            ends,
            log,
            cat,
            threads: Vec::new(),
        };

        let reader = HistoryReader::new(BufReader::new(log_pipes.stdout), head.clone(), commits);
        pipeline.threads.push(spawn("git-history", move || {
            ask(reader, cat_pipes.stdin, &commit_sender)
        })?);
        let blobs = BlobReader::new(BufReader::with_capacity(64 << 10, cat_pipes.stdout));
        let answers = Answers {
            blobs,
            credits: credit_receiver,
            batches: batch_sender,
        };
        pipeline.threads.push(spawn("git-contents", move || {
            answers.run(&commit_receiver)
        })?);
        Ok(pipeline)
    }

    /// Returns the next batch, or `None` at the history's end. Must not be called again after the
    /// end or an error.
    pub(super) fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        let Some(ends) = &self.ends else {
            return Ok(None);
        };
        match ends.batches.recv() {
            Ok(Ok(Ready { batch, cost })) => {
                for _ in 0..cost {
                    let _ = ends.credits.try_send(());
                }
                Ok(Some(batch))
            }
            Ok(Err(failure)) => Err(self.explain(failure)),
            // Both threads ended without a failure.
            Err(_) => {
                self.stop_threads()?;
                self.log.finish()?;
                self.cat.finish()?;
                Ok(None)
            }
        }
    }

    /// Returns git's own error if it failed, and otherwise ours.
    fn explain(&mut self, failure: Failure) -> InputError {
        let explained = self.stop_threads().and_then(|()| match failure.ended {
            Some(Role::Log) => self.log.finish(),
            Some(Role::Cat) => self.cat.finish(),
            None => Ok(()),
        });
        explained.err().unwrap_or(failure.error)
    }

    /// Joins the threads, which have ended or will end, since their receivers are dropped.
    fn stop_threads(&mut self) -> Result<(), InputError> {
        self.ends = None;
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| InputError::Io {
                what: "read from git".into(),
                source: std::io::Error::other("a reading thread panicked"),
            })?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn process_ids(&self) -> [u32; 2] {
        [self.log.id(), self.cat.id()]
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.ends = None;
        // A thread may be waiting for one of them.
        self.log.kill();
        self.cat.kill();
        let _ = self.stop_threads();
    }
}

type BlobReader = blobs::BlobReader<BufReader<ChildStdout>>;

/// Sends each commit on, then requests its contents.
///
/// The order matters: the reader of the responses must know the commit before the pipe of the
/// requests is full.
fn ask(
    mut history: HistoryReader<BufReader<ChildStdout>>,
    mut questions: ChildStdin,
    commits: &Sender<Result<Commit, Failure>>,
) {
    loop {
        let commit = match history.next_commit() {
            Ok(Some(commit)) => commit,
            Ok(None) => return,
            Err(error) => {
                let _ = commits.send(Err(Failure::from_read(error, Role::Log)));
                return;
            }
        };
        let lines = blobs::requests(commit.changes.iter().filter_map(
            |change| match &change.after {
                After::Blob(id) => Some(id),
                After::Absent | After::Submodule(_) => None,
            },
        ));
        // Neither failure is reported here: the receiver is dropped, or git has ended and its
        // reader notices.
        if commits.send(Ok(commit)).is_err() || questions.write_all(&lines).is_err() {
            return;
        }
    }
}

/// Thread that fills commits with their contents.
struct Answers {
    blobs: BlobReader,
    credits: Receiver<()>,
    batches: Sender<Result<Ready, Failure>>,
}

impl Answers {
    fn run(mut self, commits: &Receiver<Result<Commit, Failure>>) {
        for commit in commits {
            let ready = commit.and_then(|commit| self.fill(commit));
            let failed = ready.is_err();
            if let Ok(ready) = &ready
                && !(0..ready.cost).all(|_| self.credits.recv().is_ok())
            {
                return;
            }
            if self.batches.send(ready).is_err() || failed {
                return;
            }
        }
    }

    fn fill(&mut self, commit: Commit) -> Result<Ready, Failure> {
        let Commit { id, changes } = commit;
        let mut filled = Vec::with_capacity(changes.len());
        let mut bytes = 0;
        for change in changes {
            let value = match &change.after {
                After::Absent => None,
                After::Submodule(commit) => {
                    Some(Bytes::copy_from_slice(commit.as_str().as_bytes()))
                }
                After::Blob(blob) => Some(self.content(&id, &change.path, blob)?),
            };
            bytes += change.path.len() + value.as_ref().map_or(0, Bytes::len);
            filled.push(Change {
                key: Bytes::from(change.path),
                value,
            });
        }
        let cost = (1 + bytes / CREDIT_BYTES).min(CREDITS);
        Ok(Ready {
            batch: ChangeBatch {
                label: id.to_string(),
                changes: filled,
            },
            cost,
        })
    }

    fn content(
        &mut self,
        commit: &ObjectId,
        path: &[u8],
        blob: &ObjectId,
    ) -> Result<Bytes, Failure> {
        let content = self
            .blobs
            .next_blob(blob)
            .map_err(|error| Failure::from_read(error, Role::Cat))?;
        content.ok_or_else(|| Failure {
            error: InputError::MissingObject {
                commit: commit.to_string(),
                path: path.to_vec(),
                object: blob.to_string(),
            },
            ended: None,
        })
    }
}
