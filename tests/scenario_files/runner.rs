//! The runner's handling of files: it reports differences, rewrites outputs and nothing else, and
//! refuses unknown commands with their line.

use super::{ExitStatus, fs, outcome, refusal, run};

const WRONG: &str = "\
# A comment that stays.
manager persistence
----

set a   size=3
----
2 new

# So does this one, and the empty lines,


# and the odd blanks above.
  read   persistence
----
mutation b @1
snapshot 1-1 visible=1 type=memory
more=no

close
----
this is not printed

stats
----";

const RIGHT: &str = "\
# A comment that stays.
manager persistence
----

set a   size=3
----
1 new

# So does this one, and the empty lines,


# and the odd blanks above.
  read   persistence
----
mutation a @1
snapshot 1-1 visible=1 type=memory
more=no

close
----

stats
----
high=1 checkpoints=1 open-id=2 items=0 cursors=1 deduplicated=0 expelled=0
";

#[test]
fn wrong_expectation_is_reported_line_by_line() {
    let outcome = outcome(WRONG);
    assert!(!outcome.matches());
    let wrong: Vec<_> = outcome
        .commands
        .iter()
        .filter(|command| !command.matches())
        .collect();
    assert_eq!(
        wrong.iter().map(|command| command.line).collect::<Vec<_>>(),
        [5, 13, 19, 23]
    );
    let diff = outcome.diff();
    let read =
        "test.scn:13: read   persistence\n  - mutation b @1\n  + mutation a @1\n    snapshot 1-1 ";
    assert!(diff.contains(read), "{diff}");
    assert!(diff.contains("  - this is not printed\n"), "{diff}");
}

#[test]
fn rewriting_changes_outputs_alone_and_once() {
    let once = outcome(WRONG);
    assert_eq!(once.rewritten, RIGHT);
    let twice = outcome(&once.rewritten);
    assert!(twice.matches(), "{}", twice.diff());
    assert_eq!(twice.rewritten, once.rewritten);
}

#[test]
fn rewriting_keeps_line_ends() {
    let text = "manager\r\n----\r\n\r\nset a\r\n----\r\n2 new\r\n";
    assert_eq!(outcome(text).rewritten, text.replace("2 new", "1 new"));
    assert!(outcome(&text.replace("2 new", "1 new")).matches());
}

#[test]
fn files_that_match_are_not_touched_and_others_on_request() {
    let directory = tempfile::tempdir().expect("a directory");
    let (wrong, right) = (
        directory.path().join("wrong.scn"),
        directory.path().join("right.scn"),
    );
    fs::write(&wrong, WRONG).expect("written");
    fs::write(&right, RIGHT).expect("written");
    let run = |rewrite, paths: &[&std::path::PathBuf]| {
        let mut told = Vec::new();
        let status = run(paths, rewrite, &mut told).expect("told");
        (status, String::from_utf8(told).expect("text"))
    };

    let (status, told) = run(false, &[&right, &wrong]);
    assert_eq!(status, ExitStatus::Different);
    assert!(told.contains("- 2 new\n  + 1 new\n"), "{told}");
    assert_eq!(fs::read_to_string(&wrong).expect("read"), WRONG);

    assert_eq!(run(true, &[&wrong, &right]).0, ExitStatus::Ok);
    assert_eq!(fs::read_to_string(&wrong).expect("read"), RIGHT);
    assert_eq!(fs::read_to_string(&right).expect("read"), RIGHT);
    assert_eq!(run(false, &[&wrong]).0, ExitStatus::Ok);
}

#[test]
fn status_is_that_of_the_worst_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    };
    let different = file("different.scn", WRONG.as_bytes());
    let broken = file("broken.scn", b"manager\n----\n\nsat a\n----\n");
    let binary = file("binary.scn", b"# one\n\xff\n");
    let missing = directory.path().join("missing.scn");
    let mut told = Vec::new();
    let mut status = |paths: &[&std::path::PathBuf]| {
        let status = run(paths, false, &mut told).expect("told");
        (status, status.code())
    };
    assert_eq!(status(&[&different]), (ExitStatus::Different, 1));
    assert_eq!(status(&[&broken, &different]), (ExitStatus::Unparsable, 2));
    assert_eq!(status(&[&binary]), (ExitStatus::Unparsable, 2));
    assert_eq!(status(&[&missing, &broken]), (ExitStatus::Io, 3));
    let told = String::from_utf8(told).expect("text");
    assert!(
        told.contains("broken.scn:4: `sat` is not a command"),
        "{told}"
    );
    assert!(told.contains("binary.scn:2: not UTF-8"), "{told}");
}

#[test]
fn file_that_is_not_understood_is_not_rewritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("broken.scn");
    let text = format!("{WRONG}\n\nset\n----\n");
    fs::write(&path, &text).expect("written");
    assert_eq!(
        run(&[&path], true, &mut Vec::new()).expect("told"),
        ExitStatus::Unparsable
    );
    assert_eq!(fs::read_to_string(&path).expect("read"), text);
}

/// Checks that each line is refused at its place, line 4, with a word of the reason.
fn refused(world: &str, line: &str, reason: &str) {
    let error = refusal(&format!("{world}\n----\n\n{line}\n----\n"));
    assert_eq!(error.line, 4, "{line}: {error}");
    assert!(error.what.contains(reason), "{line}: {error}");
    assert!(error.to_string().starts_with("test.scn:4: "), "{error}");
}

#[test]
fn unknown_manager_commands_are_refused_with_their_line() {
    for (line, reason) in [
        ("sat a", "`sat`"),
        ("get a", "`get`"),
        ("set", "KEY"),
        ("set a b c", "`c`"),
        ("set a b size=1", "not both"),
        ("set a size=x", "`x`"),
        ("set a size=1 size=2", "twice"),
        ("set a histroy=1", "`histroy=`"),
        ("set a seqno=-1", "`-1`"),
        ("register c", "`after=`"),
        ("register c after=1 undropable", "`undropable`"),
        ("snapshot dusk 1 2", "`dusk`"),
        ("snapshot disk 1", "END"),
        ("vbucket-state asleep", "`asleep`"),
        ("clear", "`high=`"),
        ("close now", "`now`"),
        ("manager state=dead", "`dead`"),
        ("engine logbook", "`logbook`"),
    ] {
        refused("manager", line, reason);
    }
}

#[test]
fn unknown_engine_commands_are_refused_with_their_line() {
    for (line, reason) in [
        ("set a b", "`set`"),
        ("close", "`close`"),
        ("get", "KEY"),
        ("get a vb=65536", "`65536`"),
        ("scan at=s form=1", "`form=`"),
        ("fill from=1 to=2 size=3", "`keys=`"),
        ("fill keys=k from=1 to=2 size=3", "%d"),
        ("fill keys=k%d from=3 to=2 size=3", "`from=`"),
        ("fill keys=k%d from=1 to=2 size=3 modulo=0", "`modulo=`"),
        ("put seqno=1 a", "VALUE"),
        ("drop", "`vb=`"),
        ("fail read nth=1", "`read`"),
        ("fail write", "`nth=`"),
        ("fail write nth=1 eio torn=3", "one way"),
        ("fail sync nth=1 eio", "`eio`"),
        ("crash keep=some", "`some`"),
        ("crash keep=all seed=3", "`seed=`"),
        ("crash-at", "`io=`"),
        ("commit-group vb=1", "`vb=`"),
    ] {
        refused("engine couchstore", line, reason);
    }
}

#[test]
fn unknown_node_and_stream_commands_are_refused_with_their_line() {
    for (line, reason) in [
        ("commit", "`commit`"),
        ("node", "NAME"),
        ("node b engine=logbook", "`logbook`"),
        ("node b vbs=0", "`vbs=`"),
        ("connect a b", "`->`"),
        ("connect a ->", "NAME"),
        ("connect a -> b buffer=0", "`buffer=`"),
        ("run-until morning", "`morning`"),
        ("set-state a asleep", "`asleep`"),
        ("step x", "`x`"),
        ("wait", "SECONDS"),
        ("vbucket a", "`high=`"),
        ("stream-request a start=1 end=2 snap=1-1", "`uuid=`"),
        ("stream-request a uuid=0xg start=1 end=2 snap=1-1", "`0xg`"),
        ("stream-request a uuid=1 start=1 end=2 snap=1", "A-B"),
        (
            "stream-request a uuid=1 start=1 end=2 snap=1-1 flags=0x100000000",
            "32 bits",
        ),
    ] {
        refused("node a", line, reason);
    }
    let line = |text: &str| refusal(text).line;
    assert_eq!(line("node a\n----\n\nfailover-log a\n1 0\nx 0\n----\n"), 6);
    assert_eq!(
        line("node a\n----\n\nfailover-log a\n1 0\n2 9\n----\n"),
        4,
        "an older branch begins later"
    );
    assert_eq!(line("node a\n----\n\nwrite a\nset k 1\nput k 1\n----\n"), 6);
}

#[test]
fn commands_without_their_world_are_refused() {
    for text in ["\nset a\n----\n", "\nget a\n----\n", "\ncommit\n----\n"] {
        assert_eq!(refusal(text).line, 2, "{text}");
    }
    refused("reset", "set a", "before");
}

#[test]
fn input_lines_are_refused_at_their_place() {
    let line = |text: &str| refusal(text).line;
    assert_eq!(line("manager\n----\n\nset a\nset b\n----\n"), 5);
    assert_eq!(
        line("engine couchstore\n----\n\ncommit\nset a b\nput c d\n----\n"),
        6
    );
    assert_eq!(line("engine couchstore\n----\n\ncommit\nset a\n----\n"), 5);
    assert_eq!(
        line("engine couchstore\n----\n\ncommit-group\nvb=1 delete a\nset a b\n----\n"),
        6
    );
    assert_eq!(
        line("engine couchstore\n----\n\ncommit\nset a b\n\nget a\n----\n"),
        4
    );
}

#[test]
fn file_with_an_unknown_command_does_not_run() {
    let error = refusal("manager\n----\nwrong\n\nset a\n----\n\nsat\n----\n");
    assert_eq!(error.line, 8);
}

#[test]
fn world_ends_at_the_next_one() {
    let text = "manager\n----\n\nset a\n----\n1 new\n\nmanager\n----\n\nset b\n----\n1 new\n\nengine couchstore\n----\n\n\
                commit\nset a b\n----\nhigh=1\n\nengine couchstore\n----\n\nget a\n----\nnone\n\n\
                manager state=replica\n----\n\ncommit a\n----\nerror: invalid-argument\n";
    let outcome = outcome(text);
    assert!(outcome.matches(), "{}", outcome.diff());
}

#[test]
fn engine_counters_are_printed_in_order() {
    let outcome =
        outcome("engine couchstore\n----\n\ncommit\nset a b\n----\nhigh=1\n\nengine-stats\n----\n");
    let lines = &outcome.commands.last().expect("three commands").actual;
    assert!(lines.is_sorted(), "{lines:?}");
    for name in ["file-bytes", "live-bytes"] {
        let value = lines
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let value: u64 = value
            .and_then(|value| value.parse().ok())
            .expect("a number");
        assert!(value > 0, "{name}: {lines:?}");
    }
}
