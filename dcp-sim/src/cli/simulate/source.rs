//! Sources of a run's writes: generated for each seed, or read once for all seeds.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::arguments::{RunArguments, Workload};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::message;
use crate::input::{
    Distribution, GeneratedSource, GitSource, JsonLines, Preset, PresetSource, SharedSource,
    Source, TreeEntry, verify_tree,
};
use crate::sim::{InvariantVerdict, Shape, SimError};

/// Expected files of a git commit.
pub(in crate::cli) type Tree = Arc<BTreeMap<Vec<u8>, TreeEntry>>;

/// Source of writes, with its expected result.
pub(in crate::cli) struct Input {
    pub(in crate::cli) source: Box<dyn Source>,
    pub(in crate::cli) tree: Option<Tree>,
    pub(in crate::cli) note: Option<String>,
}

/// Source of the writes of many seeds.
pub(in crate::cli) enum Origin {
    /// Each seed generates its own.
    Generated,
    /// All seeds play one source.
    Loaded {
        source: SharedSource,
        tree: Option<Tree>,
    },
}

impl Origin {
    /// Returns the source of one seed.
    pub(in crate::cli) fn input(
        &self,
        run: &RunArguments,
        shape: Option<&Shape>,
    ) -> Result<Input, Failure> {
        match self {
            Self::Generated => run.input(shape),
            Self::Loaded { source, tree } => Ok(Input {
                source: Box::new(source.clone()),
                tree: tree.clone(),
                note: None,
            }),
        }
    }
}

impl RunArguments {
    /// Reads a source that many seeds share.
    pub(in crate::cli) fn origin(&self) -> Result<Origin, Failure> {
        if self.git.is_none() && self.input.is_none() {
            return Ok(Origin::Generated);
        }
        let Input {
            mut source,
            tree,
            note,
        } = self.input(None)?;
        if let Some(note) = note {
            message!("note: {note}");
        }
        Ok(Origin::Loaded {
            source: SharedSource::load(source.as_mut())?,
            tree,
        })
    }

    /// Returns the source of this run; `shape` is the drawn shape, if any.
    pub(in crate::cli) fn input(&self, shape: Option<&Shape>) -> Result<Input, Failure> {
        if let Some(dir) = &self.git {
            let source = GitSource::open(dir)?;
            let tree = Some(Arc::new(source.tree()?));
            let note = source
                .is_empty_repository()
                .then(|| format!("{} has no commit yet", dir.display()));
            return Ok(Input {
                source: Box::new(source),
                tree,
                note,
            });
        }
        let source: Box<dyn Source> = match (&self.input, shape, self.workload) {
            (Some(path), _, _) => Box::new(JsonLines::open(path)?),
            (None, Some(shape), _) => shape.source(self.seed)?,
            (None, None, Some(workload)) => self.generated(workload)?,
            (None, None, None) => {
                let failure = Failure::new(Exit::Usage, &"no source of writes was named");
                let hint = "name one: --git DIR, --input FILE or --workload NAME; --profile swarm draws one";
                return Err(failure.with_hint(hint.to_owned()));
            }
        };
        Ok(Input {
            source,
            tree: None,
            note: None,
        })
    }

    fn generated(&self, workload: Workload) -> Result<Box<dyn Source>, Failure> {
        let keys_default = if self.faults.is_given() { 500 } else { 10_000 };
        let ops = self.ops_or_default();
        let keys = self.keys.unwrap_or(keys_default);
        let distribution = match workload {
            Workload::Uniform => Distribution::Uniform,
            Workload::Zipfian => Distribution::Zipfian,
            Workload::Latest => Distribution::Latest,
            Workload::Etc => {
                follows_from("--value-bytes", self.value_bytes.is_some(), "etc")?;
                return Ok(Box::new(PresetSource::new(
                    Preset::Etc { keys },
                    ops,
                    self.seed,
                )?));
            }
            Workload::ZippyDb => {
                follows_from("--value-bytes", self.value_bytes.is_some(), "zippydb")?;
                follows_from("--keys", self.keys.is_some(), "zippydb")?;
                return Ok(Box::new(PresetSource::new(
                    Preset::ZippyDb,
                    ops,
                    self.seed,
                )?));
            }
        };
        let value_bytes = self.value_bytes.unwrap_or(256);
        Ok(Box::new(GeneratedSource::new(
            distribution,
            ops,
            keys,
            value_bytes,
            self.seed,
        )?))
    }
}

/// Refuses an option that the workload defines itself.
fn follows_from(option: &str, is_given: bool, workload: &str) -> Result<(), Failure> {
    if !is_given {
        return Ok(());
    }
    let what =
        format!("{option} has no meaning with --workload {workload}: it follows from the workload");
    Err(Failure::new(Exit::Usage, &what))
}

/// Returns the check of W7, the independent proof for git histories.
pub(in crate::cli) fn git_proof(
    tree: Tree,
) -> impl FnMut(&BTreeMap<&[u8], &Bytes>) -> Result<InvariantVerdict, SimError> {
    move |documents| {
        let documents = documents.iter().map(|(&key, &value)| (key, &value[..]));
        let found = verify_tree(&tree, documents);
        let mut verdict = InvariantVerdict::new(
            "W7",
            "the actives together hold exactly the files git lists for the commit",
        );
        verdict.checked = found.files;
        verdict.violations = found.missing.count + found.extra.count + found.different.count;
        if !found.is_equal() {
            verdict.told.push(found.to_string());
        }
        Ok(verdict)
    }
}
