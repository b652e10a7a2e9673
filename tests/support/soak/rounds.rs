//! The rounds of a soak: each starts a child, and kills it or waits for its end.
//!
//! # Invariants
//!
//! - A child dies after a number of its steps that the seed decides, never after a time.
//! - The last two rounds have every follower catch up, and compare everything at rest.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::lines::Line;
use super::outcome::{Counts, Violation};
use super::parent::Parent;
use super::plan::{Engine, Mode};
use crate::killing::draw;

/// One of this number of rounds ends with closing the store.
const ROUNDS_PER_CLOSING: u64 = 5;
/// Maximum number of lines before the kill.
const LINES_MAX: u64 = 60_000;

/// The number of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// That number of rounds, of a few hundred writes each.
    Rounds(u64),
    /// Rounds of thousands of writes, until that number of seconds have passed.
    Seconds(u64),
}

/// A soak.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The program that calls [`serve`](super::serve) with the arguments after its first one.
    pub program: PathBuf,
    /// The directory of the store and of the followers' places.
    pub dir: PathBuf,
    /// The store's engine.
    pub engine: Engine,
    /// The seed.
    pub seed: u64,
    /// The number of rounds.
    pub length: Length,
}

/// The step of a child after which it dies.
#[derive(Clone, Copy, Debug)]
enum Trigger {
    Opened,
    Lines,
    Writes,
    Acks,
    Reopenings,
}

/// A child that dies with its parent's interest in it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Soak {
    /// Runs all rounds. Returns the counts.
    ///
    /// # Errors
    ///
    /// The first [`Violation`].
    ///
    /// # Panics
    ///
    /// If a child cannot be started, or the directory cannot be written to.
    pub fn run(&self) -> Result<Counts, Violation> {
        let begun = Instant::now();
        let mut seed = self.seed;
        let mut parent = Parent::new();
        let (mut round, share) = (0, if self.is_short() { 8 } else { 1 });
        loop {
            let is_over = match self.length {
                Length::Rounds(rounds) => round == rounds,
                Length::Seconds(seconds) => begun.elapsed() >= Duration::from_secs(seconds),
            };
            if is_over {
                break;
            }
            round += 1;
            let mode = if round % ROUNDS_PER_CLOSING == 0 {
                let writes = (50 + draw(&mut seed, 1_000)) / share;
                Mode::Close { writes }
            } else {
                Mode::Run
            };
            self.round(&mut parent, mode, &mut seed)?;
        }
        let writes = 400 / share;
        self.round(&mut parent, Mode::Finish { writes }, &mut seed)?;
        self.round(&mut parent, Mode::Read, &mut seed)?;
        parent.compare_at_rest()?;
        parent.counts.add("rounds", round + 2);
        Ok(parent.counts)
    }

    fn is_short(&self) -> bool {
        matches!(self.length, Length::Rounds(_))
    }

    /// Draws the death of a child.
    fn trigger(&self, seed: &mut u64) -> (Trigger, u64) {
        let share = if self.is_short() { 8 } else { 1 };
        match draw(seed, 8) {
            0 => (Trigger::Opened, 1),
            1 | 2 => (Trigger::Lines, 1 + draw(seed, LINES_MAX) / share),
            3 | 4 => (Trigger::Writes, 1 + draw(seed, 4_000) / share),
            5 | 6 => (Trigger::Acks, 1 + draw(seed, 3_000) / share),
            _ => (Trigger::Reopenings, 1 + draw(seed, 8) / share),
        }
    }

    fn round(&self, parent: &mut Parent, mode: Mode, seed: &mut u64) -> Result<(), Violation> {
        let places = self.dir.join("places");
        let text = parent.begin(|| draw(seed, 2) == 0);
        std::fs::write(&places, text).expect("a writable directory");
        let trigger = (mode == Mode::Run).then(|| self.trigger(seed));
        let mut child = self.start(&places, mode, draw(seed, u64::MAX));
        let mut out = BufReader::new(child.0.stdout.take().expect("piped"));
        let (mut lines, mut steps, mut is_killed) = (0, 0, false);
        loop {
            let mut line = String::new();
            let read = out.read_line(&mut line).expect("readable");
            // A line without an end was torn by the kill.
            if read == 0 || !line.ends_with('\n') {
                break;
            }
            let parsed = Line::parse(line.trim_end());
            let line = parsed.ok_or_else(|| Violation::new(format!("the child said {line:?}")))?;
            lines += 1;
            if let Some((trigger, number)) = trigger {
                steps += u64::from(trigger.counts(&line));
                if !is_killed && (steps == number || lines == LINES_MAX) {
                    child.0.kill().expect("SIGKILL");
                    is_killed = true;
                }
            }
            parent.take(line)?;
        }
        let status = child.0.wait().expect("waited for");
        let has_ended_well = match trigger {
            Some(_) => status.signal() == Some(9),
            None => status.success(),
        };
        if !has_ended_well {
            return Err(Violation::new(format!(
                "the child ended in {mode} with {status}"
            )));
        }
        parent.counts.add("kills", u64::from(is_killed));
        parent.end()
    }

    fn start(&self, places: &Path, mode: Mode, seed: u64) -> Running {
        let mut command = Command::new(&self.program);
        let command = command
            .arg("child")
            .arg(self.dir.join("store"))
            .args([self.engine.to_string(), seed.to_string(), mode.to_string()])
            .arg(places)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Running(command.spawn().expect("the program runs"))
    }
}

impl Trigger {
    fn counts(self, line: &Line) -> bool {
        match self {
            Self::Opened => matches!(line, Line::Opened { .. }),
            Self::Lines => true,
            Self::Writes => matches!(line, Line::Taken { .. }),
            Self::Acks => matches!(line, Line::Acked { .. }),
            Self::Reopenings => {
                matches!(line, Line::Count { name, .. } if name == "reopenings-begun")
            }
        }
    }
}
