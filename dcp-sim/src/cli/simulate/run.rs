//! `dcp-sim run`: builds a world from the arguments, runs it, and prints its report.

use std::io::Write;
use std::time::Instant;

use lowtide_checkpoint::QuotaConfig;

use super::arguments::RunArguments;
use super::seeds;
use super::source::{Input, git_proof};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::new_file;
use crate::cli::output::{Output, SharedOutput, message, shows_progress};
use crate::input::{InputError, Peeked};
use crate::node::NodeConfig;
use crate::report::{self, Page, ProgressLine, Times, json, summary};
use crate::sim::{ClusterConfig, EngineKind, Proof, Shape, SimError, Storage, Trace, World};

/// Memory of each node's checkpoint managers in a run with faults; small, so that its limits
/// matter.
const QUOTA_BYTES: usize = 4 << 20;

pub(in crate::cli) fn run(arguments: &RunArguments, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(count) = arguments.seeds {
        return seeds::run(arguments, count, out);
    }
    let started = Instant::now();
    let shape = arguments.drawn()?;
    let Input { source, tree, note } = arguments.input(shape.as_ref())?;
    if let Some(note) = note {
        message!("note: {note}");
    }
    // Input that is invalid from the start leaves nothing behind.
    let source = Box::new(Peeked::new(source)?);
    let storage = arguments
        .data
        .clone()
        .map_or(Storage::Memory, Storage::Directory);
    let page = arguments.page()?;
    let trace = arguments.trace()?;
    let cluster = arguments.cluster(shape.as_ref())?;
    let marks = memory_marks(&cluster);
    let mut world = World::new(cluster, &storage, source)?.with_trace(trace_to(trace.as_ref()));
    if page.is_some() {
        world = world.with_timeline();
    }
    let mut proof = tree.map(git_proof);
    let mut progress = ProgressLine::new(shows_progress());
    let mut report = world.run(
        &mut progress,
        proof.as_mut().map(|proof| proof as &mut Proof<'_>),
    )?;
    progress.finish();
    report.shape = shape;

    let times = Times::since(started, &report);
    if arguments.json {
        writeln!(out, "{}", json(&report, &times)?)?;
    } else {
        write!(out, "{}", summary(&report, &times))?;
    }
    let mut exit = if report.is_clean() {
        Exit::Ok
    } else {
        Exit::Violation
    };
    if exit == Exit::Violation && report.faults.is_some() {
        message!("replay: {}", arguments.command());
    }
    // The verdict is printed: later failures cannot hide it.
    if let (Some(mut file), Some(timeline)) = (page, &report.timeline) {
        let command = arguments.command();
        let page = Page {
            command: &command,
            report: &report,
            timeline,
            memory_marks_bytes: &marks,
        };
        file.write_all(report::page(&page)?.as_bytes())?;
        exit = file.end(exit);
    }
    Ok(trace.map_or(exit, |trace| trace.end(exit)))
}

fn trace_to(output: Option<&SharedOutput>) -> Trace {
    output.map_or_else(Trace::default, |output| Trace::to(Box::new(output.clone())))
}

impl RunArguments {
    /// Returns a cluster in memory, ready to run.
    pub(in crate::cli) fn world(&self) -> Result<World, Failure> {
        let shape = self.drawn()?;
        let source = self.input(shape.as_ref())?.source;
        Ok(World::new(
            self.cluster(shape.as_ref())?,
            &Storage::Memory,
            source,
        )?)
    }

    /// Returns the cluster; `shape` is the drawn shape, if any.
    pub(in crate::cli) fn cluster(&self, shape: Option<&Shape>) -> Result<ClusterConfig, Failure> {
        if let Some(shape) = shape {
            return Ok(shape.cluster(self.seed));
        }
        let faults = self.faults.config()?;
        let mut node = NodeConfig::default();
        if faults.is_some() {
            node.quota = Some(QuotaConfig::default().with_limit_bytes(QUOTA_BYTES));
        }
        Ok(ClusterConfig {
            faults,
            node,
            nodes: self.nodes_or_default(),
            replicas: self.replicas_or_default(),
            vbuckets: self.vbuckets_or_default(),
            seed: self.seed,
            engine: self.engine.map_or(EngineKind::Couchstore, Into::into),
            clients: self.faults.clients,
            ..ClusterConfig::default()
        })
    }

    fn trace(&self) -> Result<Option<SharedOutput>, Failure> {
        Ok(self
            .trace
            .as_deref()
            .map(new_file::open)
            .transpose()?
            .map(SharedOutput::new))
    }

    /// Opens the file of the report. It is opened before the run, so an unwritable one is reported
    /// at once.
    pub(in crate::cli) fn page(&self) -> Result<Option<Output>, Failure> {
        self.report.as_deref().map(new_file::open).transpose()
    }
}

/// Returns the marks at which a node changes its treatment of checkpoint memory.
fn memory_marks(cluster: &ClusterConfig) -> Vec<(&'static str, u64)> {
    let Some(quota) = cluster.node.quota else {
        return vec![("quota", cluster.checkpoint_quota_bytes as u64)];
    };
    let permille = |mark: usize| (quota.limit_bytes / 1_000 * mark) as u64;
    vec![
        ("quota", quota.limit_bytes as u64),
        ("upper mark", permille(quota.upper_mark_permille)),
        ("lower mark", permille(quota.lower_mark_permille)),
    ]
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let exit = if error.is_usage() {
            Exit::Usage
        } else {
            Exit::Io
        };
        Self::new(exit, &error).with_hint(error.hint())
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Input(error) => error.into(),
            SimError::Config(_) | SimError::TooLarge { .. } => Self::new(Exit::Usage, &error),
            SimError::DataNotEmpty { .. } => Self::new(Exit::Usage, &error).with_hint(
                "a run starts with an empty directory: remove the files, or name another directory"
                    .to_owned(),
            ),
            SimError::Engine {
                source: lowtide_persistence::EngineError::Corrupt { .. },
                ..
            } => Self::new(Exit::Corrupt, &error),
            SimError::Node { .. }
            | SimError::StreamStopped { .. }
            | SimError::Stalled { .. }
            | SimError::Internal { .. }
            | SimError::Engine {
                source: lowtide_persistence::EngineError::Internal { .. },
                ..
            } => Self::new(Exit::Violation, &error),
            SimError::Disk(_) | SimError::Engine { .. } | SimError::Trace(_) => {
                Self::new(Exit::Io, &error)
            }
        }
    }
}
