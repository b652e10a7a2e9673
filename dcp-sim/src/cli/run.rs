//! `dcp-sim run`: from arguments to a world, and from its report to a terminal or to JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use checkpoint::QuotaConfig;
use clap::{ArgGroup, Args, ValueEnum};

use super::faults::FaultArguments;
use super::in_order::cores;
use super::output::{Output, SharedOutput, shows_progress, tell};
use super::{Exit, Failure, new_file, quantity, seeds};
use crate::input::{
    Distribution, GeneratedSource, GitSource, InputError, JsonLines, Peeked, Preset, PresetSource, Source,
    TreeEntry, verify_tree,
};
use crate::node::NodeConfig;
use crate::report::{self, Page, ProgressLine, Times, json, summary};
use crate::sim::{ClusterConfig, EngineKind, Proof, SimError, Storage, Trace, Verdict, World};

const EXAMPLES: &str = "\
Examples:
  dcp-sim run --git .
  dcp-sim run --git ~/linux --vbuckets 64 --data /tmp/cluster
  dcp-sim run --input changes.jsonl --nodes 2 --replicas 1
  dcp-sim run --workload latest --ops 50000 --keys 1000 --value-bytes 512 --seed 7 --json
  dcp-sim run --workload zipfian --profile hostile --seeds 20
  dcp-sim run --workload uniform --faults crash,partition --duration 10s
";

/// What each node's checkpoint managers may take where things go wrong: little, so that it matters.
const QUOTA_BYTES: usize = 4 << 20;

#[derive(Clone, Debug, Args)]
#[command(before_help = EXAMPLES)]
#[command(group = ArgGroup::new("source").args(["git", "input", "workload"]).required(true))]
pub(super) struct RunArguments {
    /// Take the history of this git repository: each commit is a batch, each path a key.
    #[arg(long, value_name = "DIR", help_heading = "Source")]
    git: Option<PathBuf>,
    /// Take a file of JSON lines: {"op":"set"|"delete","key":...,"value":...}; `-` is standard input.
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    input: Option<PathBuf>,
    /// Make up writes: by a plain law, or after measurements of production systems (docs/workloads.md).
    #[arg(long, value_name = "NAME", help_heading = "Source")]
    workload: Option<Workload>,
    /// Writes of the workload [default: 100000; 5000 where things go wrong].
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", conflicts_with_all = ["git", "input"], help_heading = "Source")]
    pub(super) ops: Option<u64>,
    /// Distinct keys of the workload, unless they follow from it [default: 10000; 500 where things go wrong].
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", conflicts_with_all = ["git", "input"], help_heading = "Source")]
    keys: Option<u64>,
    /// Bytes of each value of the workload, unless they follow from it [default: 256].
    #[arg(long, value_parser = quantity::bytes::<usize>, value_name = "N", conflicts_with_all = ["git", "input"], help_heading = "Source")]
    value_bytes: Option<usize>,

    /// Nodes of the cluster.
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", default_value_t = 3, help_heading = "Cluster")]
    pub(super) nodes: usize,
    /// Copies of each vBucket beside the active.
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", default_value_t = 2, help_heading = "Cluster")]
    pub(super) replicas: usize,
    /// vBuckets the keys are spread over.
    #[arg(long, value_parser = quantity::count::<u16>, value_name = "N", default_value_t = 16, help_heading = "Cluster")]
    pub(super) vbuckets: u16,
    /// What the nodes store with.
    #[arg(long, value_name = "NAME", default_value = "couchstore", help_heading = "Cluster")]
    engine: Engine,
    /// What every chance is drawn from: the same seed gives the same run.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", default_value_t = 1, help_heading = "Cluster")]
    pub(super) seed: u64,
    /// Run so many seeds, from --seed on.
    #[arg(
        long,
        value_name = "N",
        value_parser = quantity::positive,
        conflicts_with_all = ["git", "input", "json", "trace", "data", "report"],
        help_heading = "Cluster"
    )]
    seeds: Option<u64>,
    /// Seeds that run at once; what is printed does not depend on it [default: this machine's cores].
    #[arg(long, value_name = "N", requires = "seeds", help_heading = "Cluster")]
    jobs: Option<NonZeroUsize>,
    /// Keep the nodes' stores in this new or empty directory instead of in memory.
    #[arg(long, value_name = "DIR", help_heading = "Cluster")]
    data: Option<PathBuf>,

    #[command(flatten)]
    pub(super) faults: FaultArguments,

    /// Print one JSON object with every figure; what depends on this machine's clock is in its field `times`.
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Write what happens to this file as it happens, one JSON object a line.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    trace: Option<PathBuf>,
    /// Write the run as a page for a browser: what happened over virtual time, and the verdicts.
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// A file for each vBucket, in Couchbase's own format.
    Couchstore,
    /// One log for all vBuckets.
    Logstor,
}

impl From<Engine> for EngineKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Couchstore => Self::Couchstore,
            Engine::Logstor => Self::Logstor,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Workload {
    /// Each key as often as any other.
    Uniform,
    /// Few keys get most of the writes.
    Zipfian,
    /// The newest keys get most of the writes.
    Latest,
    /// A general-purpose memcached pool: keys and values of many sizes.
    Etc,
    /// Metadata of objects: short values, most keys written once, a third of the writes are deletes.
    #[value(name = "zippydb")]
    ZippyDb,
}

/// A source of writes, and the files a git commit must have in the end.
struct Input {
    source: Box<dyn Source>,
    tree: Option<BTreeMap<Vec<u8>, TreeEntry>>,
    note: Option<String>,
}

pub(super) fn run(arguments: &RunArguments, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(count) = arguments.seeds {
        return seeds::run(arguments, count, out);
    }
    let started = Instant::now();
    let Input { source, tree, note } = arguments.source()?;
    if let Some(note) = note {
        tell!("note: {note}");
    }
    // Input that is wrong from the start leaves nothing behind.
    let source = Box::new(Peeked::new(source)?);
    let storage = arguments.data.clone().map_or(Storage::Memory, Storage::Directory);
    let (page, trace) = (arguments.page()?, arguments.trace()?);
    let mut world = World::new(arguments.cluster()?, &storage, source)?.with_trace(trace_to(trace.as_ref()));
    if page.is_some() {
        world = world.with_timeline();
    }
    let mut proof = tree.map(git_proof);
    let mut progress = ProgressLine::new(shows_progress());
    let report = world.run(&mut progress, proof.as_mut().map(|proof| proof as &mut Proof<'_>))?;
    progress.finish();

    let times = Times::since(started, &report);
    if arguments.json {
        writeln!(out, "{}", json(&report, &times))?;
    } else {
        write!(out, "{}", summary(&report, &times))?;
    }
    let mut exit = if report.is_clean() { Exit::Ok } else { Exit::Violation };
    if exit == Exit::Violation && report.faults.is_some() {
        tell!("replay: {}", arguments.command());
    }
    // The verdict is out: what fails from here on can't hide it.
    if let (Some(mut file), Some(timeline)) = (page, &report.timeline) {
        let command = arguments.command();
        let marks = arguments.memory_marks()?;
        let page = Page { command: &command, report: &report, timeline, memory_marks_bytes: &marks };
        file.write_all(report::page(&page).as_bytes())?;
        exit = file.end(exit);
    }
    Ok(trace.map_or(exit, |trace| trace.end(exit)))
}

fn trace_to(output: Option<&SharedOutput>) -> Trace {
    output.map_or_else(Trace::default, |output| Trace::to(Box::new(output.clone())))
}

impl RunArguments {
    /// The same run from another seed.
    pub(super) fn with_seed(&self, seed: u64) -> Self {
        Self { seed, seeds: None, ..self.clone() }
    }

    /// Seeds that run at once.
    pub(super) fn jobs(&self) -> NonZeroUsize {
        self.jobs.unwrap_or_else(cores)
    }

    /// A cluster in memory that is about to run.
    pub(super) fn world(&self) -> Result<World, Failure> {
        Ok(World::new(self.cluster()?, &Storage::Memory, self.source()?.source)?)
    }

    /// Writes of the workload.
    pub(super) fn ops_or_default(&self) -> u64 {
        self.ops.unwrap_or(if self.faults.is_given() { 5_000 } else { 100_000 })
    }

    /// The command that gives this run again.
    pub(super) fn command(&self) -> String {
        let mut words = vec!["dcp-sim".to_owned(), "run".to_owned()];
        let mut add = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
        };
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        add("git", path(&self.git));
        add("input", path(&self.input));
        let workload = self.workload.and_then(|workload| workload.to_possible_value());
        add("workload", workload.map(|name| name.get_name().to_owned()));
        add("ops", self.ops.map(|ops| ops.to_string()));
        add("keys", self.keys.map(|keys| keys.to_string()));
        add("value-bytes", self.value_bytes.map(|bytes| bytes.to_string()));
        add("nodes", Some(self.nodes.to_string()));
        add("replicas", Some(self.replicas.to_string()));
        add("vbuckets", Some(self.vbuckets.to_string()));
        let engine = matches!(self.engine, Engine::Logstor).then(|| "logstor".to_owned());
        add("engine", engine);
        add("seed", Some(self.seed.to_string()));
        words.extend(self.faults.words());
        words.join(" ")
    }

    fn source(&self) -> Result<Input, Failure> {
        if let Some(dir) = &self.git {
            let source = GitSource::open(dir)?;
            let tree = source.tree()?;
            let note = source.is_empty_repository().then(|| format!("{} has no commit yet", dir.display()));
            return Ok(Input { source: Box::new(source), tree: Some(tree), note });
        }
        let source: Box<dyn Source> = match (&self.input, self.workload) {
            (Some(path), _) => Box::new(JsonLines::open(path)?),
            (None, Some(workload)) => self.workload(workload)?,
            (None, None) => return Err(Failure::new(Exit::Usage, &"no source of writes was named")),
        };
        Ok(Input { source, tree: None, note: None })
    }

    fn workload(&self, workload: Workload) -> Result<Box<dyn Source>, Failure> {
        let keys_default = if self.faults.is_given() { 500 } else { 10_000 };
        let (ops, keys) = (self.ops_or_default(), self.keys.unwrap_or(keys_default));
        let distribution = match workload {
            Workload::Uniform => Distribution::Uniform,
            Workload::Zipfian => Distribution::Zipfian,
            Workload::Latest => Distribution::Latest,
            Workload::Etc => {
                follows_from("--value-bytes", self.value_bytes.is_some(), "etc")?;
                return Ok(Box::new(PresetSource::new(Preset::Etc { keys }, ops, self.seed)?));
            }
            Workload::ZippyDb => {
                follows_from("--value-bytes", self.value_bytes.is_some(), "zippydb")?;
                follows_from("--keys", self.keys.is_some(), "zippydb")?;
                return Ok(Box::new(PresetSource::new(Preset::ZippyDb, ops, self.seed)?));
            }
        };
        let value_bytes = self.value_bytes.unwrap_or(256);
        Ok(Box::new(GeneratedSource::new(distribution, ops, keys, value_bytes, self.seed)?))
    }

    fn cluster(&self) -> Result<ClusterConfig, Failure> {
        let faults = self.faults.config()?;
        let mut node = NodeConfig::default();
        if faults.is_some() {
            node.quota = Some(QuotaConfig { limit_bytes: QUOTA_BYTES, ..QuotaConfig::default() });
        }
        Ok(ClusterConfig {
            faults,
            node,
            nodes: self.nodes,
            replicas: self.replicas,
            vbuckets: self.vbuckets,
            seed: self.seed,
            engine: self.engine.into(),
            ..ClusterConfig::default()
        })
    }

    fn trace(&self) -> Result<Option<SharedOutput>, Failure> {
        Ok(self.trace.as_deref().map(new_file::open).transpose()?.map(SharedOutput::new))
    }

    /// The file of the report. It is opened before the run, so that one that can't be written to is reported at once.
    fn page(&self) -> Result<Option<Output>, Failure> {
        self.report.as_deref().map(new_file::open).transpose()
    }

    /// Where something changes in how a node treats its checkpoint memory.
    fn memory_marks(&self) -> Result<Vec<(&'static str, u64)>, Failure> {
        let cluster = self.cluster()?;
        let Some(quota) = cluster.node.quota else {
            return Ok(vec![("quota", cluster.checkpoint_quota_bytes as u64)]);
        };
        let permille = |mark: usize| (quota.limit_bytes / 1_000 * mark) as u64;
        Ok(vec![
            ("quota", quota.limit_bytes as u64),
            ("upper mark", permille(quota.upper_mark_permille)),
            ("lower mark", permille(quota.lower_mark_permille)),
        ])
    }
}

/// Refuses an option that a workload leaves no choice in.
fn follows_from(option: &str, is_given: bool, workload: &str) -> Result<(), Failure> {
    if !is_given {
        return Ok(());
    }
    let what = format!("{option} has no meaning with --workload {workload}: it follows from the workload");
    Err(Failure::new(Exit::Usage, &what))
}

/// W7: the independent proof for git histories.
fn git_proof(
    tree: BTreeMap<Vec<u8>, TreeEntry>,
) -> impl FnMut(&BTreeMap<&[u8], &Bytes>) -> Result<Verdict, SimError> {
    move |documents| {
        let documents = documents.iter().map(|(&key, &value)| (key, &value[..]));
        let found = verify_tree(&tree, documents);
        let mut verdict =
            Verdict::new("W7", "the actives together hold exactly the files git lists for the commit");
        verdict.checked = found.files;
        verdict.violations = found.missing.count + found.extra.count + found.different.count;
        if !found.is_equal() {
            verdict.told.push(found.to_string());
        }
        Ok(verdict)
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let exit = if error.is_usage() { Exit::Usage } else { Exit::Io };
        Self::new(exit, &error).with_hint(error.hint())
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Input(error) => error.into(),
            SimError::Config(_) | SimError::TooLarge { .. } => Self::new(Exit::Usage, &error),
            SimError::DataNotEmpty { .. } => Self::new(Exit::Usage, &error).with_hint(
                "a run starts from nothing: remove what is there, or name another directory".to_owned(),
            ),
            SimError::Engine { source: persistence::EngineError::Corrupt { .. }, .. } => {
                Self::new(Exit::Corrupt, &error)
            }
            SimError::Disk(_) | SimError::Engine { .. } | SimError::Trace(_) => Self::new(Exit::Io, &error),
            SimError::Node { .. } | SimError::StreamStopped { .. } | SimError::Stalled { .. } => {
                Self::new(Exit::Violation, &error)
            }
        }
    }
}
