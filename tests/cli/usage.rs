//! Commands that contradict themselves are refused with exit code 2, before anything is touched.

use support::cli::argument;
use tempfile::TempDir;

use super::DCP_SIM;

const SMALL: [&str; 8] = [
    "run",
    "--workload",
    "uniform",
    "--ops",
    "10",
    "--keys",
    "5",
    "--json",
];

/// Guards the exit code of every usage error.
#[test]
fn usage_errors_have_exit_code_2() {
    for arguments in [
        &[][..],
        &["walk"],
        &["run"],
        &["run", "--git", ".", "--input", "-"],
        &["run", "--workload", "uniform", "--git", "."],
        &["run", "--input", "-", "--ops", "5"],
        &["run", "--git", ".", "--keys", "5"],
        &["run", "--workload", "gaussian"],
        &["run", "--workload", "uniform", "--keys", "0"],
        &["run", "--workload", "uniform", "--value-bytes", "20971521"],
        &["run", "--workload", "uniform", "--ops", "-1"],
        &["run", "--workload", "etc", "--value-bytes", "5"],
        &["run", "--workload", "zippydb", "--keys", "5"],
        &["run", "--workload", "zippydb", "--ops", "67108865"],
        &["run", "--workload", "uniform", "--faults", "flood"],
        &["run", "--workload", "uniform", "--duration", "1s"],
        &[
            "run",
            "--workload",
            "uniform",
            "--profile",
            "calm",
            "--duration",
            "1",
        ],
        &[
            "run",
            "--workload",
            "uniform",
            "--profile",
            "calm",
            "--data",
            "/nowhere",
        ],
        &["run", "--workload", "uniform", "--seeds", "0"],
        &["run", "--workload", "uniform", "--jobs", "2"],
        &[
            "run",
            "--workload",
            "uniform",
            "--seeds",
            "2",
            "--jobs",
            "0",
        ],
        &[
            "run",
            "--workload",
            "uniform",
            "--seeds",
            "2",
            "--trace",
            "/nowhere",
        ],
        &[
            "replay",
            "--workload",
            "uniform",
            "--shrink",
            "--until",
            "5",
        ],
        // The picture of a moment is text on standard output, from memory.
        &["replay", "--workload", "uniform", "--until", "5", "--json"],
        &[
            "replay",
            "--workload",
            "uniform",
            "--until",
            "5",
            "--report",
            "/nowhere",
        ],
        &[
            "replay",
            "--workload",
            "uniform",
            "--until",
            "5",
            "--trace",
            "/nowhere",
        ],
        &[
            "replay",
            "--workload",
            "uniform",
            "--until",
            "5",
            "--data",
            "/nowhere",
        ],
        &[
            "replay",
            "--workload",
            "uniform",
            "--shrink",
            "--report",
            "/nowhere",
        ],
        &["script"],
        &["completions", "cmd"],
    ] {
        let ended = DCP_SIM.run(arguments).with_code(2);
        assert!(
            ended.stdout.is_empty() && !ended.stderr.is_empty(),
            "{arguments:?}: {ended:#?}"
        );
    }
}

/// Guards the limits of a cluster, with a message that names both sides.
#[test]
fn impossible_clusters_are_refused() {
    for (arguments, said) in [
        (
            ["--nodes", "2", "--replicas", "2"],
            "2 replicas need 3 nodes; there are 2",
        ),
        (["--nodes", "0", "--replicas", "0"], "1 to 100 nodes, not 0"),
        (
            ["--nodes", "101", "--replicas", "0"],
            "1 to 100 nodes, not 101",
        ),
        (
            ["--nodes", "3", "--vbuckets", "0"],
            "1 to 1024 vBuckets, not 0",
        ),
        (
            ["--nodes", "3", "--vbuckets", "1025"],
            "1 to 1024 vBuckets, not 1025",
        ),
    ] {
        let ended = DCP_SIM.run(&[&SMALL[..], &arguments].concat()).with_code(2);
        assert!(ended.error().contains(said), "{ended:#?}");
    }
}

/// Guards existing data: a run starts from an empty directory, and neither mixes with nor removes a
/// directory's files.
#[test]
fn directory_with_files_is_not_touched() {
    let home = TempDir::new().expect("a directory");
    std::fs::write(home.path().join("precious"), b"mine").expect("written");
    let ended = DCP_SIM
        .run(&[&SMALL[..], &["--data", argument(home.path())]].concat())
        .with_code(2);
    assert!(
        ended.error().contains("is not empty") && ended.hint().contains("another directory"),
        "{ended:#?}"
    );
    let names: Vec<_> = std::fs::read_dir(home.path())
        .expect("there")
        .map(|entry| entry.expect("one").file_name())
        .collect();
    assert_eq!(names, ["precious"]);
    assert_eq!(
        std::fs::read(home.path().join("precious")).expect("there"),
        b"mine"
    );

    // A second run in the first one's directory is such a case, too.
    let data = home.path().join("new/data");
    let in_new = [&SMALL[..], &["--data", argument(&data)]].concat();
    let _first = DCP_SIM.run(&in_new).with_code(0);
    let _second = DCP_SIM.run(&in_new).with_code(2);
}

/// Guards that a directory or trace that can't be written is an I/O failure.
#[test]
fn unwritable_directory_or_trace_is_an_io_failure() {
    let home = TempDir::new().expect("a directory");
    let file = home.path().join("file");
    std::fs::write(&file, b"").expect("written");
    for arguments in [
        ["--data", argument(&file)],
        ["--trace", argument(home.path())],
    ] {
        let ended = DCP_SIM.run(&[&SMALL[..], &arguments].concat()).with_code(3);
        assert!(ended.error().contains(arguments[1]), "{ended:#?}");
    }
}

/// Guards the errors about impossible drawn clusters: each names the option and the contradiction.
#[test]
fn drawn_clusters_that_contradict_their_options_are_refused() {
    let swarm = ["run", "--profile", "swarm", "--json"];
    for (arguments, said) in [
        (
            &["--shape", "nodes"][..],
            "expected NAME=VALUE, not \"nodes\"",
        ),
        (
            &["--shape", "size=3"],
            "no dimension \"size\"; there are nodes, replicas, vbuckets",
        ),
        (
            &["--shape", "crash=5"],
            "crash: expected off, or a time such as 200ms",
        ),
        (
            &["--shape", "ops=5", "--ops", "6"],
            "ops is given twice: as an option and in --shape",
        ),
        (
            &["--shape", "crash=1s", "--faults", "crash"],
            "crash is given twice: by --faults and in --shape",
        ),
        (
            &["--nodes", "3", "--replicas", "3"],
            "3 replicas need 4 nodes; there are 3",
        ),
        (
            &["--engine", "couchstore", "--shape", "log-cache-bytes=0"],
            "log-cache-bytes has no meaning with engine=couchstore",
        ),
        (
            &["--workload", "zippydb", "--keys", "5"],
            "keys has no meaning with workload=zippydb",
        ),
        (
            &["--nodes", "0"],
            "nodes: expected a number from 1 to 100, not \"0\"",
        ),
        (&["--data", "/nowhere"], "--data"),
        (
            &[
                "--shape",
                "nodes=2",
                "--profile",
                "hostile",
                "--workload",
                "uniform",
            ],
            "cannot be used multiple times",
        ),
    ] {
        let ended = DCP_SIM.run(&[&swarm[..], arguments].concat()).with_code(2);
        assert!(ended.error().contains(said), "{arguments:?}: {ended:#?}");
    }
    let hostile = [
        "run",
        "--workload",
        "uniform",
        "--profile",
        "hostile",
        "--shape",
        "nodes=2",
    ];
    let ended = DCP_SIM.run(&hostile).with_code(2);
    assert!(
        ended
            .error()
            .contains("--shape is only valid with --profile swarm"),
        "{ended:#?}"
    );
    assert_eq!(
        ended.hint(),
        "--shape fixes what --profile swarm draws: add --profile swarm"
    );
    let ended = DCP_SIM.run(&["run"]).with_code(2);
    assert!(
        ended.error().contains("no source of writes was named"),
        "{ended:#?}"
    );
    assert!(
        ended.hint().contains("--profile swarm draws one"),
        "{ended:#?}"
    );
}
