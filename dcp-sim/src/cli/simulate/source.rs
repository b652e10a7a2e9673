//! Where the writes of a run come from: each seed's own, or read once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::arguments::{RunArguments, Workload};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::tell;
use crate::input::{
    Distribution, GeneratedSource, GitSource, JsonLines, Preset, PresetSource, SharedSource,
    Source, TreeEntry, verify_tree,
};
use crate::sim::{Shape, SimError, Verdict};

/// The files a git commit must have in the end.
pub(in crate::cli) type Tree = Arc<BTreeMap<Vec<u8>, TreeEntry>>;

/// A source of writes, and what it must come to.
pub(in crate::cli) struct Input {
    pub(in crate::cli) source: Box<dyn Source>,
    pub(in crate::cli) tree: Option<Tree>,
    pub(in crate::cli) note: Option<String>,
}

/// Where the writes of many seeds come from.
pub(in crate::cli) enum Origin {
    /// Each seed makes up its own.
    Generated,
    /// All play the same ones.
    Loaded {
        source: SharedSource,
        tree: Option<Tree>,
    },
}

impl Origin {
    /// The source of one seed.
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
    /// Reads what can be shared by many seeds.
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
            tell!("note: {note}");
        }
        Ok(Origin::Loaded {
            source: SharedSource::load(source.as_mut())?,
            tree,
        })
    }

    /// The source of this run; `shape` is what was drawn, if anything was.
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
        let (ops, keys) = (self.ops_or_default(), self.keys.unwrap_or(keys_default));
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

/// Refuses an option that a workload leaves no choice in.
fn follows_from(option: &str, is_given: bool, workload: &str) -> Result<(), Failure> {
    if !is_given {
        return Ok(());
    }
    let what =
        format!("{option} has no meaning with --workload {workload}: it follows from the workload");
    Err(Failure::new(Exit::Usage, &what))
}

/// W7: the independent proof for git histories.
pub(in crate::cli) fn git_proof(
    tree: Tree,
) -> impl FnMut(&BTreeMap<&[u8], &Bytes>) -> Result<Verdict, SimError> {
    move |documents| {
        let documents = documents.iter().map(|(&key, &value)| (key, &value[..]));
        let found = verify_tree(&tree, documents);
        let mut verdict = Verdict::new(
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
