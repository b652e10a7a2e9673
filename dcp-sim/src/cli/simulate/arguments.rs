//! Arguments of `dcp-sim run`: the source of writes, the cluster, its faults, and the destinations
//! of results.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::faults::{FaultArguments, FaultList, ProfileName, VirtualTime};
use super::shape::ShapeList;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::ordered_map::cores;
use crate::cli::quantity;
use crate::sim::{Dimension, EngineKind, Fixed, Shape};

const EXAMPLES: &str = "\
Examples:
  dcp-sim run --git .
  dcp-sim run --git ~/linux --vbuckets 64 --data /tmp/cluster
  dcp-sim run --input changes.jsonl --nodes 2 --replicas 1
  dcp-sim run --workload latest --ops 50000 --keys 1000 --value-bytes 512 --seed 7 --json
  dcp-sim run --workload zipfian --profile hostile --seeds 20
  dcp-sim run --workload uniform --faults crash,partition --duration 10s
  dcp-sim run --profile swarm --seeds 1000    a thousand clusters of drawn shapes
  dcp-sim run --profile swarm --seeds 1000 --engine logstor --shape crash=200ms,power-loss=off
";

/// Defaults of `--nodes`, `--replicas` and `--vbuckets`.
const NODES: usize = 3;
const REPLICAS: usize = 2;
const VBUCKETS: u16 = 16;

#[derive(Clone, Debug, Args)]
#[command(before_help = EXAMPLES)]
#[command(group = ArgGroup::new("source").args(["git", "input", "workload"]))]
pub(in crate::cli) struct RunArguments {
    /// Replay the history of this git repository: each commit is a batch, each path a key.
    #[arg(long, value_name = "DIR", help_heading = "Source")]
    pub(in crate::cli) git: Option<PathBuf>,
    /// Read a file of JSON lines: {"op":"set"|"delete","key":...,"value":...}; `-` is standard
    /// input.
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub(in crate::cli) input: Option<PathBuf>,
    /// Generate writes: with a plain distribution, or after measurements of production systems
    /// (docs/workloads.md).
    #[arg(long, value_name = "NAME", help_heading = "Source")]
    pub(in crate::cli) workload: Option<Workload>,
    /// Number of writes of the workload [default: 100000; 5000 with faults].
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", conflicts_with_all = ["git", "input"], help_heading = "Source")]
    pub(in crate::cli) ops: Option<u64>,
    /// Number of distinct keys, unless the workload defines it [default: 10000; 500 with faults].
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", conflicts_with_all = ["git", "input"], help_heading = "Source")]
    pub(in crate::cli) keys: Option<u64>,
    /// Size of each value, unless the workload defines it [default: 256].
    #[arg(long, value_parser = quantity::bytes::<usize>, value_name = "N", conflicts_with_all = ["git", "input"], help_heading = "Source")]
    pub(in crate::cli) value_bytes: Option<usize>,

    /// Number of nodes [default: 3].
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", help_heading = "Cluster")]
    pub(in crate::cli) nodes: Option<usize>,
    /// Number of replicas of each vBucket [default: 2].
    #[arg(long, value_parser = quantity::count::<usize>, value_name = "N", help_heading = "Cluster")]
    pub(in crate::cli) replicas: Option<usize>,
    /// Number of vBuckets [default: 16].
    #[arg(long, value_parser = quantity::count::<u16>, value_name = "N", help_heading = "Cluster")]
    pub(in crate::cli) vbuckets: Option<u16>,
    /// Storage engine of the nodes [default: couchstore].
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(in crate::cli) engine: Option<Engine>,
    /// Fix dimensions that --profile swarm draws: settings separated by commas, like
    /// nodes=3,crash=200ms,power-loss=off. docs/simulation.md lists the dimensions.
    #[arg(
        long,
        value_name = "NAME=VALUE,...",
        conflicts_with = "data",
        help_heading = "Cluster"
    )]
    pub(in crate::cli) shape: Option<ShapeList>,
    /// Seed of all random decisions: equal seeds give equal runs.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", default_value_t = 1, help_heading = "Cluster")]
    pub(in crate::cli) seed: u64,
    /// Run N seeds, starting with --seed. A git or file source is read once and kept in memory.
    #[arg(
        long,
        value_name = "N",
        value_parser = quantity::positive,
        conflicts_with_all = ["trace", "data"],
        help_heading = "Cluster"
    )]
    pub(in crate::cli) seeds: Option<u64>,
    /// Number of seeds that run at once; it does not affect the output [default: this machine's
    /// cores].
    #[arg(long, value_name = "N", requires = "seeds", help_heading = "Cluster")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    /// Keep the nodes' stores in this new or empty directory instead of in memory.
    #[arg(long, value_name = "DIR", help_heading = "Cluster")]
    pub(in crate::cli) data: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) faults: FaultArguments,

    /// Print one JSON object with every figure; its field `times` has the figures of this machine.
    /// With --seeds print one object per line and seed, without that field.
    #[arg(long, help_heading = "Output")]
    pub(in crate::cli) json: bool,
    /// Write the events of the run to this file while it runs, one JSON object per line.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) trace: Option<PathBuf>,
    /// Write the run as an HTML page: its timeline and its verdicts. With --seeds, the verdict and
    /// figures of each seed.
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub(in crate::cli) report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Engine {
    /// One file per vBucket, in Couchbase's own format.
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
pub(in crate::cli) enum Workload {
    /// All keys are equally likely.
    Uniform,
    /// Few keys get most of the writes.
    Zipfian,
    /// The newest keys get most of the writes.
    Latest,
    /// A general-purpose memcached pool: keys and values of many sizes.
    Etc,
    /// Metadata of objects: short values, most keys written once, a third of the writes are
    /// deletes.
    #[value(name = "zippydb")]
    ZippyDb,
}

impl RunArguments {
    /// Returns these arguments with another seed.
    pub(in crate::cli) fn with_seed(&self, seed: u64) -> Self {
        Self {
            seed,
            seeds: None,
            ..self.clone()
        }
    }

    /// Returns the number of seeds that run at once.
    pub(in crate::cli) fn jobs(&self) -> NonZeroUsize {
        self.jobs.unwrap_or_else(cores)
    }

    /// Returns the number of writes of the workload.
    pub(in crate::cli) fn ops_or_default(&self) -> u64 {
        self.ops.unwrap_or(if self.faults.is_given() {
            5_000
        } else {
            100_000
        })
    }

    pub(in crate::cli) fn nodes_or_default(&self) -> usize {
        self.nodes.unwrap_or(NODES)
    }

    pub(in crate::cli) fn replicas_or_default(&self) -> usize {
        self.replicas.unwrap_or(REPLICAS)
    }

    pub(in crate::cli) fn vbuckets_or_default(&self) -> u16 {
        self.vbuckets.unwrap_or(VBUCKETS)
    }

    /// Returns `true` if the cluster is drawn.
    pub(in crate::cli) fn is_swarm(&self) -> bool {
        self.faults.profile == Some(ProfileName::Swarm)
    }

    /// Returns the drawn shape, if the cluster is drawn.
    pub(in crate::cli) fn drawn(&self) -> Result<Option<Shape>, Failure> {
        if self.is_swarm() {
            return Ok(Some(Shape::draw(self.seed, &self.fixed()?)?));
        }
        if self.shape.is_some() {
            let failure = Failure::new(Exit::Usage, &"--shape is only valid with --profile swarm");
            return Err(failure.with_hint(
                "--shape fixes what --profile swarm draws: add --profile swarm".to_owned(),
            ));
        }
        Ok(None)
    }

    /// Returns the fixed part of a drawn cluster.
    pub(in crate::cli) fn fixed(&self) -> Result<Fixed, Failure> {
        let mut settings = BTreeMap::new();
        let workload = self
            .workload
            .and_then(|workload| workload.to_possible_value());
        let engine = self.engine.and_then(|engine| engine.to_possible_value());
        let duration = self
            .faults
            .duration
            .map(|VirtualTime(micros)| format!("{micros}us"));
        for (dimension, text) in [
            (Dimension::NODES, self.nodes.map(|nodes| nodes.to_string())),
            (
                Dimension::REPLICAS,
                self.replicas.map(|replicas| replicas.to_string()),
            ),
            (
                Dimension::VBUCKETS,
                self.vbuckets.map(|vbuckets| vbuckets.to_string()),
            ),
            (
                Dimension::ENGINE,
                engine.map(|engine| engine.get_name().to_owned()),
            ),
            (
                Dimension::WORKLOAD,
                workload.map(|workload| workload.get_name().to_owned()),
            ),
            (Dimension::OPS, self.ops.map(|ops| ops.to_string())),
            (Dimension::KEYS, self.keys.map(|keys| keys.to_string())),
            (
                Dimension::VALUE_BYTES,
                self.value_bytes.map(|bytes| bytes.to_string()),
            ),
            (
                Dimension::VALUE_SPREAD,
                self.value_bytes.map(|_| "constant".to_owned()),
            ),
            (Dimension::DURATION, duration),
            (
                Dimension::CLIENTS,
                self.faults.clients.map(|clients| clients.to_string()),
            ),
        ] {
            if let Some(text) = text {
                let value = dimension
                    .value(&text)
                    .map_err(|error| Failure::new(Exit::Usage, &error))?;
                settings.insert(dimension, value);
            }
        }
        for (&dimension, &value) in self.shape.iter().flat_map(|shape| &shape.0) {
            if settings.insert(dimension, value).is_some() {
                let error = format!(
                    "{} is given twice: as an option and in --shape",
                    dimension.name()
                );
                return Err(Failure::new(Exit::Usage, &error));
            }
        }
        let faults = self
            .faults
            .faults
            .as_ref()
            .map(|FaultList(kinds)| kinds.clone());
        if let Some(Dimension::Fault(kind)) = settings
            .keys()
            .find(|dimension| faults.is_some() && matches!(dimension, Dimension::Fault(_)))
        {
            let error = format!("{} is given twice: by --faults and in --shape", kind.name());
            return Err(Failure::new(Exit::Usage, &error));
        }
        Ok(Fixed {
            settings,
            faults,
            has_source: self.git.is_some() || self.input.is_some(),
        })
    }

    /// Returns the command that repeats this run.
    pub(in crate::cli) fn command(&self) -> String {
        let mut words = vec!["dcp-sim".to_owned(), "run".to_owned()];
        let mut add = |name: &str, value: Option<String>| {
            words.extend(
                value
                    .into_iter()
                    .flat_map(|value| [format!("--{name}"), value]),
            );
        };
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| for_shell(&path.display().to_string()))
        };
        add("git", path(&self.git));
        add("input", path(&self.input));
        let workload = self
            .workload
            .and_then(|workload| workload.to_possible_value());
        add("workload", workload.map(|name| name.get_name().to_owned()));
        add("ops", self.ops.map(|ops| ops.to_string()));
        add("keys", self.keys.map(|keys| keys.to_string()));
        add(
            "value-bytes",
            self.value_bytes.map(|bytes| bytes.to_string()),
        );
        let drawn = self.is_swarm();
        let known = |given: Option<u64>, default: u64| given.or((!drawn).then_some(default));
        let given = |count: Option<usize>| count.map(|count| count as u64);
        add(
            "nodes",
            known(given(self.nodes), NODES as u64).map(|nodes| nodes.to_string()),
        );
        add(
            "replicas",
            known(given(self.replicas), REPLICAS as u64).map(|replicas| replicas.to_string()),
        );
        let vbuckets = known(self.vbuckets.map(u64::from), u64::from(VBUCKETS));
        add("vbuckets", vbuckets.map(|vbuckets| vbuckets.to_string()));
        let engine = self
            .engine
            .filter(|engine| drawn || matches!(engine, Engine::Logstor));
        let engine = engine.and_then(|engine| engine.to_possible_value());
        add("engine", engine.map(|engine| engine.get_name().to_owned()));
        add("seed", Some(self.seed.to_string()));
        add("shape", self.shape.as_ref().map(ToString::to_string));
        words.extend(self.faults.words());
        words.join(" ")
    }
}

/// Returns a word that a shell reads as this text.
fn for_shell(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_in_a_command_is_one_word_of_a_shell() {
        for (path, word) in [
            ("../changes-1.jsonl", "../changes-1.jsonl"),
            ("~/linux", "'~/linux'"),
            ("/my data/it's", r"'/my data/it'\''s'"),
            ("$HOME;x", "'$HOME;x'"),
            ("", "''"),
        ] {
            assert_eq!(for_shell(path), word);
        }
    }
}
