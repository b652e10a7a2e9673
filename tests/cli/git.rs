//! `run --git` against git's own account: the actives' stores on disk hold exactly the files of the
//! repository's HEAD.

use std::path::Path;

use dcp_sim::input::vbucket_of;
use support::cli::{Ended, argument};
use support::git::{Files, Repository};
use support::stores::{StoredNode, read_cluster};
use tempfile::TempDir;

use super::DCP_SIM;

const NODES: usize = 3;
const VBUCKETS: u16 = 5;

fn run(dir: &Path, data: &Path) -> Ended {
    let cluster = [
        "--nodes",
        "3",
        "--replicas",
        "1",
        "--vbuckets",
        "5",
        "--json",
    ];
    DCP_SIM.run(
        &[
            &["run", "--git", argument(dir), "--data", argument(data)],
            &cluster[..],
        ]
        .concat(),
    )
}

/// Returns the live documents of the actives' stores, each in the vBucket of its key's hash.
fn documents(nodes: &[StoredNode]) -> Files {
    let mut files = Files::new();
    for vb in 0..VBUCKETS {
        let active = nodes[usize::from(vb) % NODES]
            .get(&vb.into())
            .expect("the active's copy");
        for item in active.items.values().filter(|item| !item.deleted) {
            let key = item.key.user().to_vec();
            assert_eq!(vbucket_of(&key, VBUCKETS), vb, "{}", key.escape_ascii());
            files.insert(key, item.value.clone().expect("a document").to_vec());
        }
    }
    files
}

/// Runs it and compares the stores on disk with git's account of `repository`; returns the files.
fn prove(repository: &Repository, dir: &Path) -> Files {
    let data = TempDir::new().expect("a directory");
    let report = run(dir, data.path()).with_code(0).json();
    let nodes = read_cluster(data.path(), NODES);
    let (found, wanted) = (documents(&nodes), repository.files());
    assert!(
        found == wanted,
        "found {:?}, wanted {:?}",
        found.keys(),
        wanted.keys()
    );
    assert_eq!(
        report["figures"]["documents"],
        wanted.len(),
        "the report says so, too"
    );
    let verdicts = report["verdicts"].as_array().expect("verdicts");
    let proof = verdicts
        .iter()
        .find(|verdict| verdict["invariant"] == "W7")
        .expect("the proof by git");
    assert_eq!(
        (&proof["checked"], &proof["violations"]),
        (&wanted.len().into(), &0.into())
    );
    for (number, node) in nodes.iter().enumerate() {
        for (&vb, copy) in node {
            let active = nodes[usize::from(vb.0) % NODES]
                .get(&vb)
                .expect("the active's copy");
            assert!(
                copy.items == active.items,
                "node {number}, vBucket {vb} differs from its active"
            );
        }
    }
    found
}

/// Guards the whole way from a repository to stores: every kind of content, path and commit.
#[test]
fn repository_with_everything_is_on_disk() {
    let repository = Repository::with_everything();
    let files = prove(&repository, repository.dir());
    for path in [
        &b"caf\xe9 \xff"[..],
        b"binary",
        b"empty",
        b"link",
        b"run.sh",
        b"module",
        b"side",
        b"new name",
    ] {
        assert!(files.contains_key(path), "{}", path.escape_ascii());
    }
    for path in [&b"doomed"[..], b"old name"] {
        assert!(!files.contains_key(path), "{}", path.escape_ascii());
    }
    assert_eq!(
        files.get(&b"link"[..]).map(Vec::as_slice),
        Some(&b"dir/\xff"[..]),
        "a link is its target"
    );
}

/// Guards that a bare clone, a shallow clone and a directory inside one are the same repository.
#[test]
fn bare_shallow_and_inner_repositories_are_read() {
    let repository = Repository::with_everything();
    let bare = repository.cloned(&["--bare"]);
    assert!(prove(&bare, bare.dir()) == repository.files());
    let shallow = repository.cloned(&["--depth=2", "--no-checkout"]);
    assert!(prove(&shallow, shallow.dir()) == repository.files());
    assert!(prove(&repository, &repository.dir().join("dir/below")) == repository.files());
}

/// Guards that a partial clone is refused before anything is made, with a hint that works; a
/// complete one is read.
#[test]
fn partial_clone_is_refused_with_a_hint_that_works() {
    let repository = Repository::with_everything();
    let _ = repository.ask(&["config", "uploadpack.allowFilter", "true"]);
    for arguments in [
        &["--filter=blob:none"][..],
        &["--filter=tree:0"],
        &["--filter=blob:none", "--depth=2"],
        &["--filter=blob:none", "--bare"],
    ] {
        let bare = if arguments.contains(&"--bare") {
            &[][..]
        } else {
            &["--no-checkout"][..]
        };
        let partial = repository.cloned(&[arguments, bare].concat());
        let home = TempDir::new().expect("a directory");
        let data = home.path().join("data");
        let ended = run(partial.dir(), &data).with_code(2);
        assert!(ended.error().contains("partial clone"), "{ended:#?}");
        assert!(
            ended.hint().contains("git fetch --refetch --no-filter"),
            "{ended:#?}"
        );
        assert!(!data.exists() && ended.stdout.is_empty(), "{arguments:?}");
        let _ = partial.ask(&["fetch", "--quiet", "--refetch", "--no-filter"]);
        assert!(
            prove(&partial, partial.dir()) == repository.files(),
            "{arguments:?}"
        );
    }
}

/// Guards that an empty history is no error.
#[test]
fn empty_repository_is_reported_as_empty() {
    let repository = Repository::new();
    let ended = DCP_SIM
        .run(&["run", "--git", argument(repository.dir())])
        .with_code(0);
    assert!(ended.stderr.contains("has no commit yet"), "{ended:#?}");
    let data = TempDir::new().expect("a directory");
    assert_eq!(
        run(repository.dir(), data.path()).with_code(0).json()["figures"]["documents"],
        0
    );
    assert_eq!(documents(&read_cluster(data.path(), NODES)), Files::new());
}

/// Guards that a path that is no repository is reported as a usage error.
#[test]
fn path_that_is_no_repository_is_refused() {
    let home = TempDir::new().expect("a directory");
    let missing = home.path().join("missing");
    for dir in [home.path(), &missing] {
        let ended = DCP_SIM.run(&["run", "--git", argument(dir)]).with_code(2);
        assert!(ended.error().contains(argument(dir)), "{ended:#?}");
        assert!(
            !ended.hint().is_empty() && ended.stdout.is_empty(),
            "{ended:#?}"
        );
    }
    // Git would take an empty path for the current directory.
    let _nothing = DCP_SIM.run(&["run", "--git", ""]).with_code(2);
}
