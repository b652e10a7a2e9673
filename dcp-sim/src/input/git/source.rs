//! Source of a repository's history, from the first commit to HEAD along first parents.
//!
//! A merge is one batch with all of its changes. A key is a path's bytes from the repository's
//! root. A value is the file's content, a link's target, or a submodule's commit id in hex digits.
//! A commit that only changes a mode sets the path to its old content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::command::{Git, failed};
use super::object_id::ObjectId;
use super::pipeline::Pipeline;
use super::tree::TreeEntry;
use super::{output, partial, tree};
use crate::input::error::InputError;
use crate::input::source::{ChangeBatch, Source};

/// Source of a repository's history.
pub struct GitSource {
    dir: PathBuf,
    git: Git,
    /// `None` in a repository without a commit.
    head: Option<Head>,
    pub(super) progress: Progress,
}

struct Head {
    commit: ObjectId,
    commits: u64,
}

pub(super) enum Progress {
    /// Nothing is read yet, and no process is started.
    Ready,
    Reading(Box<Pipeline>),
    Done,
}

impl GitSource {
    /// Opens the repository at or above `dir`; also a bare or shallow one.
    ///
    /// # Errors
    /// [`InputError::NotARepository`] with git's message, [`InputError::PartialClone`] if contents
    /// are missing, [`InputError::GitMissing`], or an error of git.
    pub fn open(dir: &Path) -> Result<Self, InputError> {
        let not_a_repository = |words: String| InputError::NotARepository {
            path: dir.to_owned(),
            words,
        };
        if dir.as_os_str().is_empty() {
            // Git would take it for the current directory.
            return Err(not_a_repository("the path is empty".into()));
        }
        let git = Git::new(dir);
        let found = git.run(&["rev-parse", "--git-dir"])?;
        if !found.status.success() {
            return Err(not_a_repository(found.stderr));
        }
        let head = match resolve_head(&git)? {
            Some(commit) => Some(Head {
                commits: count(&git, &commit)?,
                commit,
            }),
            None => None,
        };
        if let Some(Head { commit, .. }) = &head
            && let Some(object) = partial::missing_object(&git, commit)?
        {
            return Err(InputError::PartialClone {
                path: dir.to_owned(),
                object,
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            git,
            head,
            progress: Progress::Ready,
        })
    }

    /// Returns `true` for a repository without a commit; the source then has no batches.
    #[must_use]
    pub fn is_empty_repository(&self) -> bool {
        self.head.is_none()
    }

    /// Returns the last commit of the history; `None` in a repository without one.
    #[must_use]
    pub fn commit(&self) -> Option<&ObjectId> {
        self.head.as_ref().map(|head| &head.commit)
    }

    /// Returns the files of that commit in git's own list, for [`verify_tree`](super::verify_tree);
    /// empty without a commit.
    ///
    /// # Errors
    /// An error of git.
    pub fn tree(&self) -> Result<BTreeMap<Vec<u8>, TreeEntry>, InputError> {
        match &self.head {
            Some(head) => tree::parse(
                &self
                    .git
                    .run_ok(tree::COMMAND, &tree::arguments(&head.commit))?,
            ),
            None => Ok(BTreeMap::new()),
        }
    }

    fn advance(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        if matches!(self.progress, Progress::Ready)
            && let Some(head) = &self.head
        {
            let pipeline = Pipeline::start(&self.git, &head.commit, head.commits)?;
            self.progress = Progress::Reading(Box::new(pipeline));
        }
        match &mut self.progress {
            Progress::Reading(pipeline) => pipeline.next_batch(),
            Progress::Ready | Progress::Done => Ok(None),
        }
    }
}

impl Source for GitSource {
    fn next_batch(&mut self) -> Result<Option<ChangeBatch>, InputError> {
        let next = self.advance();
        if !matches!(next, Ok(Some(_))) {
            self.progress = Progress::Done;
        }
        next
    }

    fn batches_total(&self) -> Option<u64> {
        Some(self.head.as_ref().map_or(0, |head| head.commits))
    }

    fn describe(&self) -> String {
        let dir = self.dir.display();
        match &self.head {
            Some(Head { commit, commits: 1 }) => {
                format!("git history of {dir}: 1 commit, {commit}")
            }
            Some(Head { commit, commits }) => {
                format!("git history of {dir}: {commits} commits up to {commit}")
            }
            None => format!("git history of {dir}: an empty repository, no commit yet"),
        }
    }
}

/// Returns the commit of HEAD, or `None` if its branch has none yet.
fn resolve_head(git: &Git) -> Result<Option<ObjectId>, InputError> {
    let found = git.run(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
    if found.status.success() {
        return single_id(&found.stdout).map(Some);
    }
    if is_unborn(git)? {
        return Ok(None);
    }
    // The log's message names the defect; rev-parse only reports that there is one.
    let log = git.run(&["log", "-1", "--format=%H"])?;
    let words = if log.stderr.is_empty() {
        found.stderr
    } else {
        log.stderr
    };
    Err(failed("git rev-parse HEAD", found.status, words))
}

/// Returns `true` if HEAD names a branch that does not exist, as opposed to a broken one.
fn is_unborn(git: &Git) -> Result<bool, InputError> {
    let branch = git.run(&["symbolic-ref", "--quiet", "HEAD"])?;
    let Ok(name) = String::from_utf8(branch.stdout) else {
        return Ok(false);
    };
    let name = name.trim_end_matches('\n');
    if !branch.status.success() || name.is_empty() {
        return Ok(false);
    }
    // A broken branch did not get this far; one that names a missing commit is listed. Names below
    // the branch's name are listed too.
    let listed = git.run(&["for-each-ref", "--format=%(refname)", "--", name])?;
    let exists = listed
        .stdout
        .split(|&byte| byte == b'\n')
        .any(|line| line == name.as_bytes());
    Ok(listed.status.success() && !exists)
}

fn single_id(output: &[u8]) -> Result<ObjectId, InputError> {
    let id = output.strip_suffix(b"\n").and_then(ObjectId::parse);
    id.ok_or_else(|| {
        unexpected(
            "git rev-parse HEAD",
            format!("not an id: \"{}\"", output::shown(output)),
        )
    })
}

pub(super) fn count(git: &Git, commit: &ObjectId) -> Result<u64, InputError> {
    const NAME: &str = "git rev-list --count";
    let counted = git.run_ok(
        NAME,
        &[
            "rev-list",
            "--count",
            "--first-parent",
            commit.as_str(),
            "--",
        ],
    )?;
    let number = std::str::from_utf8(&counted)
        .ok()
        .and_then(|text| text.trim_end_matches('\n').parse().ok());
    number.ok_or_else(|| {
        unexpected(
            NAME,
            format!("not a number: \"{}\"", output::shown(&counted)),
        )
    })
}

fn unexpected(command: &str, what: String) -> InputError {
    InputError::UnexpectedOutput {
        command: command.into(),
        offset: 0,
        what,
    }
}
