//! `run --input` and `run --workload`: good input runs clean, bad input is refused with its place.

use std::path::PathBuf;

use support::cli::{Ended, argument};
use tempfile::TempDir;

use super::DCP_SIM;

const GOOD: &str = r#"
{"op":"set","key":"a","value":{"n":1}}
{"op":"set","key_hex":"00ff","value_hex":"fe"}

{"op":"set","key":"b","value":"text"}
{"op":"delete","key":"a"}
"#;

fn file(home: &TempDir, text: &str) -> PathBuf {
    let path = home.path().join("changes.jsonl");
    std::fs::write(&path, text).expect("written");
    path
}

fn figures(ended: &Ended) -> [u64; 4] {
    let report = ended.json();
    assert_eq!(report["clean"], true, "{report:#}");
    ["batches", "sets", "deletes", "documents"]
        .map(|name| report["figures"][name].as_u64().expect("a number"))
}

/// Guards the input format, from a file and from standard input.
#[test]
fn each_input_line_is_a_write() {
    let home = TempDir::new().expect("a directory");
    let path = file(&home, GOOD);
    let from_file = DCP_SIM
        .run(&["run", "--json", "--input", argument(&path)])
        .with_code(0);
    assert_eq!(figures(&from_file), [4, 3, 1, 2]);
    let from_stdin = DCP_SIM
        .run_with(&["run", "--json", "--input", "-"], GOOD.as_bytes())
        .with_code(0);
    assert_eq!(figures(&from_stdin), [4, 3, 1, 2]);
    let nothing = DCP_SIM
        .run_with(&["run", "--json", "--input", "-"], b"")
        .with_code(0);
    assert_eq!(figures(&nothing), [0, 0, 0, 0]);
}

/// Guards that a bad line is refused, with its number.
#[test]
fn bad_line_is_refused_with_its_number() {
    let home = TempDir::new().expect("a directory");
    for bad in [
        r#"{"op":"get","key":"a"}"#,
        r#"{"op":"set","key":"a"}"#,
        "no JSON",
        "\u{feff}{}",
    ] {
        let path = file(&home, &format!("{GOOD}{bad}\n"));
        let ended = DCP_SIM
            .run(&["run", "--input", argument(&path)])
            .with_code(2);
        assert!(
            ended
                .error()
                .starts_with(&format!("{}:7: ", path.display())),
            "{bad}: {ended:#?}"
        );
        assert!(
            ended.stdout.is_empty(),
            "no report of half a run: {ended:#?}"
        );
    }
    let ended = DCP_SIM
        .run_with(&["run", "--input", "-"], b"\nbad\n")
        .with_code(2);
    assert!(ended.error().contains("standard input:2: "), "{ended:#?}");
}

/// Guards that a key too long for any node is reported as the input's fault, with its place, and
/// that the longest key runs.
#[test]
fn key_that_is_too_long_is_refused_with_its_place() {
    let line = |bytes: usize| {
        format!(
            "{{\"op\":\"set\",\"key\":\"{}\",\"value\":1}}\n",
            "k".repeat(bytes)
        )
    };
    let fits = DCP_SIM
        .run_with(&["run", "--json", "--input", "-"], line(4_092).as_bytes())
        .with_code(0);
    assert_eq!(figures(&fits), [1, 1, 0, 1]);
    let ended = DCP_SIM
        .run_with(
            &["run", "--input", "-"],
            format!("\n{}", line(4_093)).as_bytes(),
        )
        .with_code(2);
    assert!(
        ended.error().starts_with("line 2: the key of kkkk"),
        "{ended:#?}"
    );
}

/// Guards that files often mistaken for JSON lines are recognized, and that input which is wrong
/// from the start leaves no data behind.
#[test]
fn files_of_other_formats_get_a_hint_and_leave_no_data() {
    let home = TempDir::new().expect("a directory");
    let (path, data) = (home.path().join("changes.jsonl"), home.path().join("data"));
    for (bytes, what, hint) in [
        (&b"\x1f\x8b\x08\0"[..], "compressed with gzip", "gzip -dc"),
        (
            b"[{\"op\":\"delete\",\"key\":\"a\"}]\n",
            "a JSON array",
            "jq -c '.[]'",
        ),
        (b"no JSON\n", "not JSON", ""),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let run = ["run", "--input", argument(&path), "--data", argument(&data)];
        let ended = DCP_SIM.run(&run).with_code(2);
        assert!(ended.error().contains(what), "{ended:#?}");
        assert!(hint.is_empty() || ended.hint().contains(hint), "{ended:#?}");
        assert!(!data.exists(), "{what}");
    }
    let marked = format!("\u{feff}{}", GOOD.trim_start());
    let ended = DCP_SIM
        .run_with(&["run", "--json", "--input", "-"], marked.as_bytes())
        .with_code(0);
    assert_eq!(figures(&ended), [4, 3, 1, 2]);
}

/// Guards counts and sizes as people type them.
#[test]
fn counts_and_sizes_with_units_are_read() {
    let run = |ops: &str, bytes: &str| {
        let workload = ["run", "--json", "--workload", "uniform", "--keys", "1e1"];
        DCP_SIM.run(&[&workload[..], &["--ops", ops, "--value-bytes", bytes]].concat())
    };
    let plain = run("1000", "2048").with_code(0).json_without_times();
    for (ops, bytes) in [
        ("1e3", "2KiB"),
        ("1k", "2048B"),
        ("1_000", "2.048kB"),
        ("0.001M", "2048"),
    ] {
        assert_eq!(
            run(ops, bytes).with_code(0).json_without_times(),
            plain,
            "{ops} {bytes}"
        );
    }
    for (ops, bytes, said) in [
        ("1.5", "1", "not a whole number"),
        ("ten", "1", "250k"),
        ("1e99", "1", "too large"),
        ("1", "2k", "2KiB"),
    ] {
        let ended = run(ops, bytes).with_code(2);
        assert!(ended.stderr.contains(said), "{ended:#?}");
    }
}

/// Guards that an unreadable file is an I/O failure, not a usage error.
#[test]
fn unreadable_input_file_is_an_io_failure() {
    let home = TempDir::new().expect("a directory");
    for path in [home.path().join("missing"), home.path().to_owned()] {
        let ended = DCP_SIM
            .run(&["run", "--input", argument(&path)])
            .with_code(3);
        assert!(ended.error().contains(argument(&path)), "{ended:#?}");
    }
}

/// Guards every generated workload.
#[test]
fn every_workload_runs_clean() {
    for kind in ["uniform", "zipfian", "latest"] {
        let workload = [
            "--workload",
            kind,
            "--ops",
            "300",
            "--keys",
            "50",
            "--value-bytes",
            "64",
        ];
        let ended = DCP_SIM
            .run(&[&["run", "--json"], &workload[..]].concat())
            .with_code(0);
        let [batches, sets, deletes, documents] = figures(&ended);
        assert_eq!((batches, sets + deletes), (300, 300), "{kind}");
        assert!(
            deletes > 0 && (1..=50).contains(&documents),
            "{kind}: {deletes} {documents}"
        );
    }
}

/// Guards the workloads after measurements, whose sizes are fixed.
#[test]
fn every_measured_workload_runs_clean() {
    for workload in [
        &["--workload", "etc", "--keys", "50"][..],
        &["--workload", "zippydb"],
    ] {
        let ended = DCP_SIM
            .run(&[&["run", "--json", "--ops", "300"], workload].concat())
            .with_code(0);
        let [batches, sets, deletes, documents] = figures(&ended);
        assert_eq!((batches, sets + deletes), (300, 300), "{workload:?}");
        assert!(
            deletes > 0 && documents > 0,
            "{workload:?}: {deletes} {documents}"
        );
    }
}

/// Guards the summary for people: every invariant, and the verdict.
#[test]
fn summary_has_every_invariant() {
    let ended = DCP_SIM
        .run_with(&["run", "--input", "-"], GOOD.as_bytes())
        .with_code(0);
    for invariant in ["W1", "W2", "W3", "W4", "W5", "W6"] {
        let holds = format!("{invariant} holds ");
        assert!(
            ended.stdout.lines().any(|line| line.starts_with(&holds)),
            "{invariant}: {}",
            ended.stdout
        );
    }
    assert!(
        ended.stdout.ends_with("every copy is right\n"),
        "{}",
        ended.stdout
    );
}
