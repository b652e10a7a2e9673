//! Tests of the source against repositories made by git; each commit is compared with git's own
//! list of its files.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::object_id::ObjectId;
use super::source::{GitSource, Progress};
use super::tree::{TreeReport, verify_tree};
use crate::input::error::InputError;
use crate::input::source::{Change, ChangeBatch, Source};
use repository::{Files, Repository};

mod broken;
mod environment;
mod repository;

fn open(dir: &Path) -> GitSource {
    GitSource::open(dir).expect("a repository")
}

fn batches(dir: &Path) -> Vec<ChangeBatch> {
    let mut source = open(dir);
    let mut batches = Vec::new();
    while let Some(batch) = source.next_batch().expect("readable") {
        batches.push(batch);
    }
    assert_eq!(source.batches_total(), Some(batches.len() as u64));
    assert!(source.next_batch().expect("at its end").is_none());
    batches
}

/// Plays a repository into a map, comparing it with git's list after each commit. Returns the final
/// files.
fn play(repository: &Repository, dir: &Path) -> Files {
    let mut documents = Files::new();
    for batch in batches(dir) {
        for change in batch.changes {
            match change.value {
                Some(value) => documents.insert(change.key.to_vec(), value.to_vec()),
                None => {
                    let known = documents.remove(&change.key[..]);
                    Some(known.expect("only what is there is deleted"))
                }
            };
        }
        assert_eq!(
            documents,
            repository.files(&batch.label),
            "after {}",
            batch.label
        );
    }
    let report = verify(&open(dir), &documents);
    assert!(report.is_equal(), "{report}");
    assert_eq!(report.files, documents.len() as u64);
    documents
}

fn verify(source: &GitSource, documents: &Files) -> TreeReport {
    let tree = source.tree().expect("readable");
    verify_tree(
        &tree,
        documents
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_slice())),
    )
}

/// Creates a history with one change of every kind.
fn everything(arguments: &[&str]) -> Repository {
    let repository = Repository::new(arguments);
    repository.commit("an empty root");
    repository.write(b"a", b"one\n");
    repository.write(b"binary", b"\0\xff\r\n\0");
    repository.write(b"empty", b"");
    repository.write(b"dir/below", b"deep\n");
    repository.write(b"line\nbreak \"quoted\"\t\\", b"strange\n");
    repository.write(b"\xff\xfe not UTF-8", b"bytes\n");
    repository.write(b"commit 0000", b"looks like a header\n");
    repository.write(b":000000 100644", b"looks like a record\n");
    repository.commit("files of all sorts");
    repository.commit("nothing");
    repository.git(&["mv", "a", "moved"]);
    repository.write(b"a", b"another\n");
    repository.commit("a rename, and its old name again");
    repository.remove("empty");
    repository.link("empty", b"dir/\xff");
    repository.commit("a file becomes a link");
    repository.remove("empty");
    repository.write(b"empty/now", b"a directory\n");
    repository.commit("a link becomes a directory");
    repository.git(&["update-index", "--chmod=+x", "moved"]);
    repository.commit_index("a mode");
    repository.git(&["checkout", "--quiet", "--force"]);
    let head = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},module"),
    ]);
    repository.commit_index("a submodule");
    let head = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&[
        "update-index",
        "--cacheinfo",
        &format!("160000,{head},module"),
    ]);
    repository.commit_index("the submodule moves");
    merges(&repository, "");
    repository.git(&["rm", "--quiet", "--cached", "module"]);
    repository.git(&["rm", "--quiet", "dir/below"]);
    repository.commit_index("deletes");
    repository
}

/// Creates an ordinary merge, one with three parents, and one that changes nothing.
fn merges(repository: &Repository, prefix: &str) {
    let branches = ["one", "two", "three", "ignored"].map(|name| format!("{prefix}{name}"));
    let [one, two, three, ignored] = branches.each_ref().map(String::as_str);
    for branch in [one, two, three] {
        repository.git(&["checkout", "--quiet", "-b", branch, "main"]);
        repository.write(format!("on-{branch}").as_bytes(), branch.as_bytes());
        repository.git(&["add", &format!("on-{branch}")]);
        repository.commit_index("first");
        repository.write(format!("on-{branch}").as_bytes(), b"changed\n");
        repository.git(&["add", &format!("on-{branch}")]);
        repository.commit_index("second");
        repository.git(&["checkout", "--quiet", "main"]);
    }
    repository.write(b"a", format!("{prefix}on main\n").as_bytes());
    repository.git(&["add", "a"]);
    repository.commit_index("meanwhile");
    repository.git(&["merge", "--quiet", "--no-ff", "-m", "merge", one]);
    repository.git(&["merge", "--quiet", "--no-ff", "-m", "octopus", two, three]);
    repository.git(&["checkout", "--quiet", "-b", ignored]);
    repository.write(ignored.as_bytes(), b"");
    repository.git(&["add", ignored]);
    repository.commit_index("ignored");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--strategy=ours", "-m", "ours", ignored]);
}

#[test]
fn batches_up_to_a_commit_give_its_tree() {
    let repository = everything(&[]);
    let documents = play(&repository, &repository.dir);
    assert!(documents.contains_key(&b"\xff\xfe not UTF-8"[..]));
    let batches = batches(&repository.dir);
    assert_eq!(
        batches.len(),
        14,
        "side branches are not played, merges are"
    );
    let empty = batches
        .iter()
        .filter(|batch| batch.changes.is_empty())
        .count();
    assert_eq!(
        empty, 3,
        "commits without changes count: the root, one that says so, and the merge that takes nothing"
    );
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.changes.len()).collect();
    assert_eq!(sizes, [0, 8, 0, 2, 1, 2, 1, 1, 1, 1, 1, 2, 0, 2]);
}

#[test]
fn mode_change_sets_the_path_to_its_old_content() {
    let repository = everything(&[]);
    let batches = batches(&repository.dir);
    let mode = batches.get(6).expect("seven");
    let change = Change {
        key: "moved".into(),
        value: Some("one\n".into()),
    };
    assert_eq!(mode.changes, [change]);
}

#[test]
fn sha256_repositories_are_read() {
    let repository = everything(&["--object-format=sha256"]);
    play(&repository, &repository.dir);
    assert_eq!(
        open(&repository.dir)
            .commit()
            .expect("commits")
            .as_str()
            .len(),
        64
    );
}

#[test]
fn bare_and_shallow_repositories_are_read() {
    let origin = everything(&[]);
    let bare = Repository::cloned(&origin, &["--bare"]);
    assert_eq!(batches(&bare.dir), batches(&origin.dir));
    for depth in 1..=4 {
        let shallow = Repository::cloned(&origin, &["--no-checkout", &format!("--depth={depth}")]);
        assert_eq!(play(&shallow, &shallow.dir), origin.files("HEAD"));
        // Nothing is known below the boundary: the oldest commit sets everything.
        assert_eq!(open(&shallow.dir).batches_total(), Some(depth));
    }
}

#[test]
fn directory_inside_gives_the_whole_repository() {
    let repository = everything(&[]);
    let inside = repository.dir.join("empty");
    assert_eq!(play(&repository, &inside), repository.files("HEAD"));
    repository.git(&["config", "diff.relative", "true"]);
    assert_eq!(batches(&inside), batches(&repository.dir));
}

#[test]
fn linked_work_trees_and_detached_heads_are_read() {
    let repository = everything(&[]);
    repository.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        "../linked",
        "HEAD~3",
    ]);
    let linked = repository.dir.with_file_name("linked");
    let commit = repository.git(&["rev-parse", "HEAD~3"]);
    assert_eq!(open(&linked).commit().expect("commits").as_str(), commit);
    assert_eq!(play(&repository, &linked), repository.files(&commit));
}

#[test]
fn empty_repository_has_no_batches() {
    for repository in [Repository::new(&[]), Repository::new(&["--bare"])] {
        let mut source = open(&repository.dir);
        assert!(source.is_empty_repository());
        assert_eq!((source.batches_total(), source.commit()), (Some(0), None));
        assert!(source.next_batch().expect("readable").is_none());
        assert!(source.tree().expect("readable").is_empty());
        assert!(
            source.describe().contains("empty repository"),
            "{}",
            source.describe()
        );
    }
    // A branch that does not exist, though one below its name does.
    let repository = everything(&[]);
    repository.git(&["branch", "topic/below"]);
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/topic"]);
    assert!(open(&repository.dir).is_empty_repository());
}

#[test]
fn head_is_resolved_once() {
    let repository = everything(&[]);
    let mut source = open(&repository.dir);
    let before = repository.files("HEAD");
    let first = source.next_batch().expect("readable").expect("a commit");
    repository.write(b"later", b"later\n");
    repository.commit("later");
    let mut labels = vec![first.label];
    while let Some(batch) = source.next_batch().expect("readable") {
        labels.push(batch.label);
    }
    assert_eq!(
        labels.last().map(String::as_str),
        source.commit().map(ObjectId::as_str)
    );
    assert!(verify(&source, &before).is_equal());
    assert!(!verify(&open(&repository.dir), &before).is_equal());
}

#[test]
fn git_source_describes_itself() {
    let repository = Repository::new(&[]);
    repository.commit("only");
    let source = open(&repository.dir);
    let commit = source.commit().expect("one");
    let dir = repository.dir.display();
    assert_eq!(
        source.describe(),
        format!("git history of {dir}: 1 commit, {commit}")
    );
    let source: Box<dyn Source> = Box::new(source);
    drop(source);
}

/// Returns a path that makes the log, too, longer than the read-ahead.
fn long_path(number: usize) -> String {
    format!(
        "{}file-{}",
        format!("{}/", "d".repeat(200)).repeat(4),
        number % 7
    )
}

/// Creates many commits with contents larger than any pipe: more than the read-ahead.
fn long() -> Repository {
    let repository = Repository::new(&[]);
    let mut stream = Vec::new();
    for number in 0..600 {
        let content = format!("{number}\n").repeat(if number % 50 == 0 { 1 << 16 } else { 2000 });
        let (n, path) = (content.len(), long_path(number));
        stream.extend_from_slice(
            format!(
                "commit refs/heads/main\ncommitter C <c@example.org> 1700000000 +0000\ndata 0\n\
                 M 100644 inline {path}\ndata {n}\n{content}\n"
            )
            .as_bytes(),
        );
    }
    repository.git_with(&["fast-import", "--quiet"], &stream);
    repository
}

#[test]
fn long_histories_are_read_in_order() {
    let repository = long();
    let batches = batches(&repository.dir);
    assert_eq!(batches.len(), 600);
    for (number, batch) in batches.iter().enumerate() {
        let change = batch.changes.first().expect("one change");
        let value = change.value.as_ref().expect("a set");
        assert!(
            value.starts_with(format!("{number}\n").as_bytes()),
            "{number}"
        );
        assert_eq!(change.key, long_path(number));
    }
}

/// The requests exceed a pipe, and so do their responses: a reader that starts after all the
/// requests would wait for ever.
#[test]
fn commit_of_many_files_is_read() {
    let repository = Repository::new(&[]);
    let mut stream = String::from(
        "commit refs/heads/main\ncommitter C <c@example.org> 1700000000 +0000\ndata 0\n",
    );
    for number in 0..5000 {
        let content = format!("{number:0100}");
        stream.push_str(&format!(
            "M 100644 inline {number:04}\ndata 100\n{content}\n"
        ));
    }
    repository.git_with(&["fast-import", "--quiet"], stream.as_bytes());
    let batches = batches(&repository.dir);
    let [batch] = batches.as_slice() else {
        panic!("{} batches", batches.len())
    };
    assert_eq!(batch.changes.len(), 5000);
    for (number, change) in batch.changes.iter().enumerate() {
        let value = format!("{number:0100}").into();
        assert_eq!(
            change,
            &Change {
                key: format!("{number:04}").into(),
                value: Some(value)
            }
        );
    }
}

/// Sends a signal. Returns `true` if there was a process to receive it.
fn signal(number: u8, process: u32) -> bool {
    let script = format!("kill -{number} {process}");
    Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("there is a shell")
        .status
        .success()
}

/// The source must neither hang (the test would not end) nor leave a process or its thread behind.
#[test]
fn dropping_a_source_early_ends_its_processes() {
    let repository = long();
    for taken in [1, 2, 100, 599] {
        let mut source = open(&repository.dir);
        for _ in 0..taken {
            assert!(source.next_batch().expect("readable").is_some());
        }
        let Progress::Reading(pipeline) = &source.progress else {
            panic!("it reads")
        };
        let ids = pipeline.process_ids();
        drop(source);
        for id in ids {
            // Signal 0 only tests for the process. A zombie would count as one, too.
            assert!(!signal(0, id), "{id} is left behind");
        }
    }
    drop(open(&repository.dir));
}
