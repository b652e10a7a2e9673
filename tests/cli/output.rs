//! Output that can't be written: a closed pipe ends the command silently, a full device is named,
//! and a verdict stays.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use support::cli::argument;
use tempfile::TempDir;

use super::DCP_SIM;

const FULL: &str = "No space left on device";
/// Every command, with its exit code if its results can be written. `NEW` is replaced by an unused
/// name.
const COMMANDS: [(&str, i32); 26] = [
    ("--help", 0),
    ("--version", 0),
    ("run --help", 0),
    ("completions bash", 0),
    ("run --workload uniform --ops 200 --keys 20", 0),
    ("run --workload uniform --ops 200 --keys 20 --json", 0),
    (
        "run --workload zipfian --profile stormy --ops 200 --duration 200ms --seeds 3",
        0,
    ),
    (
        "replay --workload zipfian --profile calm --ops 200 --until 50",
        0,
    ),
    (
        "replay --workload zipfian --profile calm --ops 200 --duration 100ms --shrink",
        0,
    ),
    ("inspect couch/node-0", 0),
    ("inspect whole.couch.1 --json", 0),
    ("inspect log/node-0", 0),
    ("inspect log/node-0 --json", 0),
    ("dump couch/node-0", 0),
    ("dump log/node-0", 0),
    ("check couch/node-0", 0),
    ("check couch/node-0 --json", 0),
    ("check log/node-0", 0),
    ("check damaged.couch.1", 4),
    ("recover whole.couch.1 --output NEW", 0),
    ("recover damaged.couch.1 --output NEW", 1),
    ("compact whole.couch.1 --output NEW", 0),
    ("compact log/node-0 --output NEW", 0),
    ("compact couch/node-0 --in-place", 0),
    ("script good.scn", 0),
    ("script different.scn", 1),
];

/// Makes stores and scenario files for all commands.
fn home() -> TempDir {
    let home = TempDir::new().expect("a directory");
    let filled = [
        "run",
        "--workload",
        "uniform",
        "--ops",
        "300",
        "--keys",
        "40",
        "--vbuckets",
        "1",
    ];
    for (engine, name) in [("couchstore", "couch"), ("logstor", "log")] {
        let data = home.path().join(name);
        let _ = DCP_SIM
            .run(
                &[
                    &filled[..],
                    &["--engine", engine, "--data", argument(&data)],
                ]
                .concat(),
            )
            .with_code(0);
    }
    let bytes = fs::read(stored_file(home.path())).expect("read");
    let write =
        |name: &str, bytes: &[u8]| fs::write(home.path().join(name), bytes).expect("written");
    write("whole.couch.1", &bytes);
    // Much of a file is dead, so the loop looks for a byte whose damage loses a document.
    let is_lost = (0..bytes.len()).rev().step_by(500).any(|at| {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x5a;
        write("damaged.couch.1", &damaged);
        run(
            home.path(),
            "recover damaged.couch.1 --output NEW",
            Stdio::null(),
            Stdio::null(),
        )
        .status
        .code()
            == Some(1)
    });
    assert!(is_lost, "no byte of the file is a document's");
    let scenario = "manager\n----\n\nset a\n----\n1 new\n";
    write("good.scn", scenario.as_bytes());
    write(
        "different.scn",
        scenario.replace("1 new", "2 new").as_bytes(),
    );
    home
}

fn stored_file(home: &Path) -> PathBuf {
    let entries = fs::read_dir(home.join("couch/node-0"))
        .expect("a store")
        .map(|entry| entry.expect("one").path());
    entries
        .filter(|path| path.to_string_lossy().contains(".couch."))
        .min()
        .expect("a file")
}

fn run(home: &Path, line: &str, stdout: Stdio, stderr: Stdio) -> Output {
    let new = home.join("new");
    // It is a file or a directory, depending on the command.
    let _ = (fs::remove_file(&new), fs::remove_dir_all(&new));
    let line = line.replace("NEW", argument(&new));
    let mut command = DCP_SIM.command(&line.split(' ').collect::<Vec<_>>());
    command
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    command
        .spawn()
        .expect("it runs")
        .wait_with_output()
        .expect("waited for")
}

/// Returns a pipe without a reader.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("a full device")
        .into()
}

/// Guards T10 for `| head`: the exit code is that of the command, and there is no message.
#[test]
fn closed_pipe_is_silent_and_keeps_the_exit_code() {
    let home = home();
    for (line, code) in COMMANDS {
        let whole = run(home.path(), line, Stdio::piped(), Stdio::piped());
        assert_eq!(whole.status.code(), Some(code), "{line}: {whole:?}");
        let ended = run(home.path(), line, closed(), Stdio::piped());
        assert_eq!(ended.status.code(), Some(code), "{line}: {ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            !said.contains("error") && !said.contains("ipe") && !said.contains("panic"),
            "{line}: {said}"
        );
    }
}

/// Guards T10 for a full disk: it is named, fails a successful command, and hides no verdict.
#[test]
fn full_output_is_named_and_hides_no_verdict() {
    let home = home();
    for (line, code) in COMMANDS {
        let ended = run(home.path(), line, full(), Stdio::piped());
        let wanted = if code == 0 { 3 } else { code };
        assert_eq!(ended.status.code(), Some(wanted), "{line}: {ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        let errors: Vec<_> = said.lines().filter(|line| line.contains(FULL)).collect();
        assert_eq!(
            errors,
            [format!("error: standard output: {FULL} (os error 28)")],
            "{line}: {said}"
        );
    }
}

/// Guards that messages which can't be written don't fail the command.
#[test]
fn messages_that_cannot_be_written_change_nothing() {
    let home = home();
    for (line, code) in COMMANDS {
        for stderr in [closed(), full()] {
            let ended = run(home.path(), line, Stdio::piped(), stderr);
            assert_eq!(ended.status.code(), Some(code), "{line}");
            assert!(!ended.stdout.is_empty(), "{line}: results arrive");
        }
    }
    for stderr in [closed(), full()] {
        assert_eq!(
            run(home.path(), "run", Stdio::piped(), stderr)
                .status
                .code(),
            Some(2)
        );
    }
}

/// Guards that a caller which closes the streams wants no output, and gets the exit code.
#[test]
fn closed_streams_leave_the_exit_code() {
    let home = home();
    for (line, code) in COMMANDS {
        let new = home.path().join("new");
        let _ = (fs::remove_file(&new), fs::remove_dir_all(&new));
        let script = format!(
            "{} {} >&- 2>&-",
            DCP_SIM.0,
            line.replace("NEW", argument(&new))
        );
        let ended = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(home.path())
            .status();
        assert_eq!(ended.expect("a shell").code(), Some(code), "{line}");
    }
}

/// Guards the verdict of a run whose page or trace can't be written completely.
#[test]
fn full_files_are_named_and_the_verdict_is_printed() {
    let home = home();
    for (option, path) in [("--report", "/dev/full"), ("--trace", "/dev/full")] {
        let line = format!("run --workload uniform --ops 200 --keys 20 {option} {path}");
        let ended = run(home.path(), &line, Stdio::piped(), Stdio::piped());
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        assert!(
            String::from_utf8_lossy(&ended.stdout).ends_with("every copy is right\n"),
            "{ended:?}"
        );
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains(&format!("error: {path}: {FULL}")), "{said}");
    }
}

/// Guards that named files are changed by results alone.
#[test]
fn refused_run_leaves_named_files_as_they_were() {
    let home = home();
    fs::write(home.path().join("old.html"), "an older page").expect("written");
    for line in [
        "run --workload uniform --data couch --report old.html --trace new.jsonl",
        "run --workload uniform --nodes 0 --report old.html --trace new.jsonl",
        "run --workload uniform --report old.html --trace missing/new.jsonl",
    ] {
        let ended = run(home.path(), line, Stdio::piped(), Stdio::piped());
        assert!(
            matches!(ended.status.code(), Some(2 | 3)),
            "{line}: {ended:?}"
        );
        assert_eq!(
            fs::read_to_string(home.path().join("old.html")).expect("kept"),
            "an older page"
        );
        assert!(!home.path().join("new.jsonl").exists(), "{line}");
    }
}
