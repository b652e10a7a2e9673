//! Tests that no setting and no environment changes the read history.

use super::*;

/// Settings that each change the output of `git log`, in the repository's own configuration.
const HOSTILE: [(&str, &str); 24] = [
    ("color.diff", "always"),
    ("color.ui", "always"),
    ("core.abbrev", "7"),
    ("core.pager", "cat >/dev/null"),
    ("core.quotePath", "false"),
    ("diff.algorithm", "patience"),
    ("diff.external", "false"),
    ("diff.ignoreSubmodules", "all"),
    ("diff.mnemonicPrefix", "true"),
    ("diff.noprefix", "true"),
    ("diff.orderFile", "../order"),
    ("diff.renames", "copies"),
    ("diff.submodule", "log"),
    ("format.notes", "*"),
    ("format.pretty", "fuller"),
    ("log.abbrevCommit", "true"),
    ("log.decorate", "full"),
    ("log.diffMerges", "combined"),
    ("log.follow", "true"),
    ("log.showRoot", "false"),
    ("log.showSignature", "true"),
    ("notes.displayRef", "refs/notes/*"),
    ("pager.log", "true"),
    ("submodule.module.ignore", "all"),
];

#[test]
fn git_settings_change_nothing() {
    let repository = everything(&[]);
    // A file that is renamed and copied without another change, and a root with files.
    let other = signed_root(&repository);
    repository.git(&["checkout", "--quiet", "--force", "-B", "main", &other]);
    repository.git(&["mv", "moved", "moved again"]);
    repository.write(b"copy", b"one\n");
    repository.git(&["add", "copy"]);
    repository.commit_index("rename and copy");
    let head = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},module"),
    ]);
    repository.commit_index("a submodule");
    merges(&repository, "more-");

    let before = batches(&repository.dir);
    play(&repository, &repository.dir);
    for (name, value) in HOSTILE {
        repository.git(&["config", name, value]);
        assert_eq!(batches(&repository.dir), before, "{name} = {value}");
    }
    let order = repository.dir.with_file_name("order");
    std::fs::write(order, "on-*\nz*\n").expect("written");
    repository.git(&["notes", "add", "-m", "a note", "HEAD"]);
    assert_eq!(batches(&repository.dir), before);
}

/// Creates a root commit of HEAD's files with a fake signature, which git tries to verify if
/// configured so.
fn signed_root(repository: &Repository) -> String {
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = format!(
        "tree {tree}\nauthor A <a@example.org> 1700000000 +0000\ncommitter A <a@example.org> 1700000000 +0000\n\
         gpgsig -----BEGIN PGP SIGNATURE-----\n \n none\n -----END PGP SIGNATURE-----\n\nsigned\n"
    );
    repository.git_with(
        &["hash-object", "-t", "commit", "-w", "--stdin"],
        commit.as_bytes(),
    )
}

#[test]
fn replaced_and_grafted_history_is_not_played() {
    let repository = everything(&[]);
    let before = batches(&repository.dir);
    repository.git(&["replace", "HEAD~2", "HEAD~5"]);
    let blob = repository.git(&["rev-parse", "HEAD:a"]);
    repository.git(&[
        "replace",
        "-f",
        &blob,
        &repository.git(&["rev-parse", "HEAD:moved"]),
    ]);
    assert_eq!(batches(&repository.dir), before);
    let (child, parent) = (
        repository.git(&["rev-parse", "HEAD~1"]),
        repository.git(&["rev-parse", "HEAD~7"]),
    );
    std::fs::create_dir_all(repository.dir.join(".git/info")).expect("made");
    std::fs::write(
        repository.dir.join(".git/info/grafts"),
        format!("{child} {parent}\n"),
    )
    .expect("written");
    assert_ne!(
        repository.git(&["rev-list", "--count", "--first-parent", "HEAD"]),
        before.len().to_string()
    );
    assert_eq!(batches(&repository.dir), before);
}

/// Runs another test of this module in an environment of its own, since that of this process cannot
/// be changed safely.
fn rerun(name: &str, variables: &[(&str, &str)]) {
    let (_, module) = module_path!().split_once("::").expect("in a crate");
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--exact", "--include-ignored", &format!("{module}::{name}")])
        .envs(variables.iter().copied())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(" 1 passed"),
        "{variables:?}: {said}"
    );
}

#[test]
#[ignore = "run by others, in another environment"]
fn played_history_is_complete() {
    let repository = everything(&[]);
    play(&repository, &repository.dir);
    assert_eq!(
        open(&repository.dir).batches_total(),
        Some(14),
        "the whole history"
    );
    assert!(open(&Repository::new(&[]).dir).is_empty_repository());
    let none = tempfile::tempdir().expect("a directory");
    let Err(error) = GitSource::open(none.path()) else {
        panic!("it is no repository")
    };
    assert!(
        matches!(&error, InputError::NotARepository { words, .. } if words.starts_with("fatal: ")),
        "{error}"
    );
}

#[test]
fn environment_of_a_hook_changes_nothing() {
    let other = everything(&[]);
    let git_dir = other.dir.join(".git");
    let git_dir = git_dir.to_str().expect("UTF-8");
    let here = other.dir.to_str().expect("UTF-8");
    rerun(
        "played_history_is_complete",
        &[
            ("GIT_DIR", git_dir),
            ("GIT_WORK_TREE", here),
            ("GIT_PREFIX", "dir/"),
        ],
    );
    rerun(
        "played_history_is_complete",
        &[
            ("GIT_DIR", "/nonexistent"),
            ("GIT_INDEX_FILE", "/nonexistent"),
        ],
    );
    rerun(
        "played_history_is_complete",
        &[
            ("GIT_OBJECT_DIRECTORY", "/nonexistent"),
            ("GIT_COMMON_DIR", "/nonexistent"),
        ],
    );
    // The dates are fixed, so this commit exists in the repository under test too, which the file
    // would make shallow.
    let shallow = other.dir.join("shallow");
    std::fs::write(&shallow, other.git(&["rev-parse", "HEAD~2"]) + "\n").expect("written");
    let shallow = shallow.to_str().expect("UTF-8");
    rerun(
        "played_history_is_complete",
        &[
            ("GIT_SHALLOW_FILE", shallow),
            ("GIT_NAMESPACE", "x"),
            ("GIT_TRACE", "1"),
        ],
    );
    rerun(
        "played_history_is_complete",
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "log.diffMerges"),
            ("GIT_CONFIG_VALUE_0", "combined"),
            ("GIT_EXTERNAL_DIFF", "false"),
            ("GIT_PAGER", "false"),
            ("LANG", "de_DE.UTF-8"),
        ],
    );
}

#[test]
#[ignore = "run by another, where there is no git"]
fn missing_git_is_an_error() {
    let Err(error) = GitSource::open(Path::new("/")) else {
        panic!("there is no git")
    };
    assert!(matches!(error, InputError::GitMissing), "{error}");
    assert!(!error.is_usage() && error.hint().is_some());
}

#[test]
#[ignore = "run by another, where git is a script that fails when it is done"]
fn late_failure_is_an_error() {
    let repository = long();
    let mut source = open(&repository.dir);
    for _ in 0..600 {
        assert!(source.next_batch().expect("readable").is_some());
    }
    let error = source.next_batch().expect_err("the script fails");
    assert!(
        matches!(&error, InputError::Git { stderr, .. } if stderr == "too late"),
        "{error}"
    );
    // Killing the script leaves git itself running for a while.
    let mut source = open(&repository.dir);
    assert!(source.next_batch().expect("readable").is_some());
    drop(source);
}

#[test]
fn failure_after_the_last_byte_is_reported() {
    use std::os::unix::fs::PermissionsExt;

    let path = std::env::var("PATH").expect("a PATH");
    for command in ["--raw", "--batch"] {
        let dir = tempfile::tempdir().expect("a directory");
        let script = format!(
            "#!/bin/sh\nPATH='{path}' git \"$@\" || exit\n\
             case \"$*\" in *-C*{command}*) echo too late >&2; exit 3;; esac\n"
        );
        let file = dir.path().join("git");
        std::fs::write(&file, script).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
            .expect("executable");
        let path = format!("{}:{path}", dir.path().display());
        rerun("late_failure_is_an_error", &[("PATH", &path)]);
    }
}

#[test]
fn open_without_git_is_an_error() {
    rerun("missing_git_is_an_error", &[("PATH", "/nonexistent")]);
}
