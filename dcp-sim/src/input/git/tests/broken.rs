//! Tests of paths without a repository and of damaged repositories: the errors name the defect and
//! its place.

use super::*;
use crate::input::git::history;

fn refused(dir: &Path) -> InputError {
    match GitSource::open(dir) {
        Ok(source) => panic!("opened {}", source.describe()),
        Err(error) => error,
    }
}

/// Reads to the expected error, and past it.
fn failure(source: &mut GitSource) -> InputError {
    let error = loop {
        match source.next_batch() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error"),
            Err(error) => break error,
        }
    };
    assert!(source.next_batch().expect("at its end").is_none());
    assert!(
        matches!(source.progress, Progress::Done),
        "its processes are gone"
    );
    error
}

#[test]
fn path_without_a_repository_is_refused_with_gits_message() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    for (path, said) in [
        (dir.path().join("missing"), "No such file or directory"),
        (file, "Not a directory"),
        (dir.path().to_owned(), "not a git repository"),
        (PathBuf::new(), "empty"),
    ] {
        let error = refused(&path);
        assert!(
            matches!(&error, InputError::NotARepository { words, .. } if words.contains(said)),
            "{error}"
        );
        assert!(error.is_usage() && error.hint().is_some());
    }
}

#[test]
fn repository_of_another_user_is_refused_with_a_hint() {
    let repository = everything(&[]);
    if std::os::unix::fs::chown(repository.dir.join(".git"), Some(65_534), None).is_err() {
        // Only root may give files away; the hint's text is tested with the error.
        return;
    }
    std::os::unix::fs::chown(&repository.dir, Some(65_534), None).expect("root");
    let error = refused(&repository.dir);
    assert!(error.to_string().contains("dubious ownership"), "{error}");
    let hint = error.hint().expect("a hint");
    assert!(
        hint.contains(&format!("safe.directory '{}'", repository.dir.display())),
        "{hint}"
    );
}

#[test]
fn broken_head_is_not_an_empty_repository() {
    for head in ["garbage\n".to_owned(), format!("{}\n", "1".repeat(40))] {
        let repository = everything(&[]);
        std::fs::write(repository.dir.join(".git/refs/heads/main"), head).expect("written");
        let error = refused(&repository.dir);
        assert!(
            matches!(&error, InputError::Git { stderr, .. } if !stderr.is_empty()),
            "{error}"
        );
        assert!(!error.is_usage() && error.hint().is_some());
    }
}

#[test]
fn missing_content_is_named_with_its_commit_and_path() {
    let repository = everything(&[]);
    let object = repository.git(&["rev-parse", "HEAD~10:dir/below"]);
    std::fs::remove_file(repository.object_file(&object)).expect("removed");
    let error = failure(&mut open(&repository.dir));
    let commit = repository.git(&["rev-list", "--first-parent", "--reverse", "HEAD"]);
    let second = commit.lines().nth(1).expect("two commits");
    let InputError::MissingObject {
        commit,
        path,
        object: missing,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(
        (commit.as_str(), path.as_slice(), missing),
        (second, &b"dir/below"[..], &object)
    );
}

#[test]
fn partial_clone_is_refused_without_fetching() {
    let origin = everything(&[]);
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let partial = Repository::cloned(&origin, &["--no-checkout", "--filter=blob:none"]);
    let error = refused(&partial.dir);
    assert!(
        matches!(error, InputError::PartialClone { .. }) && error.is_usage(),
        "{error}"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--no-filter"))
    );
}

#[test]
fn failure_of_git_is_reported_with_its_message() {
    let repository = everything(&[]);
    let tree = repository.git(&["rev-parse", "HEAD~5^{tree}"]);
    std::fs::remove_file(repository.object_file(&tree)).expect("removed");
    let error = failure(&mut open(&repository.dir));
    let InputError::Git {
        command, stderr, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(command, history::COMMAND);
    assert!(
        stderr.contains(&tree) && !stderr.contains("hint:"),
        "{stderr}"
    );
}

#[test]
fn damaged_content_is_an_error() {
    let repository = everything(&[]);
    let object = repository.git(&["rev-parse", "HEAD:a"]);
    let file = repository.object_file(&object);
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(&file, b"no object").expect("written");
    let error = failure(&mut open(&repository.dir));
    assert!(error.to_string().contains(&object), "{error}");
}

#[test]
fn killed_process_is_an_error() {
    let repository = long();
    for role in [0, 1] {
        let mut source = open(&repository.dir);
        assert!(source.next_batch().expect("readable").is_some());
        let Progress::Reading(pipeline) = &source.progress else {
            panic!("it reads")
        };
        assert!(signal(9, pipeline.process_ids()[role]));
        let error = failure(&mut source);
        assert!(
            matches!(&error, InputError::Git { status, .. } if status.contains("signal: 9")),
            "{error}"
        );
    }
}
