//! `dcp-sim inspect`: pictures of files, and the same figures as JSON.

use support::cli::argument;
use support::fixtures::{copy_couchstore, couchstore_dir, couchstore_file};
use tempfile::TempDir;

use super::DCP_SIM;

/// Guards the pictures; they are plain without a terminal.
#[test]
fn pictures_without_a_terminal_are_plain() {
    for (case, code) in [
        ("d_rich", 0),
        ("g_ten_v12", 0),
        ("h_boundary", 0),
        ("f_bad_seq_root", 4),
    ] {
        let ended = DCP_SIM
            .run_in(&couchstore_dir(), &["inspect", &couchstore_file(case)])
            .with_code(code);
        assert!(!ended.stdout.contains('\u{1b}'), "{case}: no colours");
        insta::assert_snapshot!(format!("inspect_{case}"), ended.stdout);
    }
}

/// Guards colours: they appear on request only.
#[test]
fn colours_on_request_change_nothing_else() {
    let file = couchstore_file("h_boundary");
    let run = |name: &str, value: &str| {
        let mut command = DCP_SIM.command(&["inspect", &file]);
        let output = command
            .current_dir(couchstore_dir())
            .env(name, value)
            .output()
            .expect("run");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (plain, coloured) = (run("NO_COLOR", "1"), run("CLICOLOR_FORCE", "1"));
    assert!(
        !plain.contains('\u{1b}') && coloured.contains("\u{1b}[32m"),
        "{coloured}"
    );
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').expect("a colour").1;
    }
    assert_eq!(stripped + rest, plain);
}

/// Guards the JSON: the parts add up to the whole.
#[test]
fn inspect_json_has_every_figure() {
    let ended = DCP_SIM.run_in(
        &couchstore_dir(),
        &["inspect", "--json", &couchstore_file("d_rich")],
    );
    let document = ended.with_code(0).json();
    let file = &document["files"][0];
    let number = |name: &str| file[name].as_u64().expect("a number");
    assert_eq!(
        number("live_bytes") + number("dead_bytes"),
        number("file_bytes")
    );
    let uses = file["uses"].as_object().expect("an object");
    assert_eq!(
        uses.values()
            .filter_map(serde_json::Value::as_u64)
            .sum::<u64>(),
        number("live_bytes")
    );
    assert_eq!(
        (&file["by_id"]["rows"], &file["by_id"]["disk_bytes"]),
        (&15.into(), &624.into())
    );
    assert_eq!(
        (&file["state"]["state"], &file["state"]["snapshot_end"]),
        (&"active".into(), &18.into())
    );
    let positions: Vec<_> = file["headers"]
        .as_array()
        .expect("headers")
        .iter()
        .map(|header| &header["position"])
        .collect();
    assert_eq!(positions, [12288, 8192, 4096, 0]);
    let few = DCP_SIM.run_in(
        &couchstore_dir(),
        &[
            "inspect",
            "--json",
            "--headers",
            "1",
            &couchstore_file("d_rich"),
        ],
    );
    let few = few.with_code(0).json();
    assert_eq!(few["files"][0]["headers_left_out"], 3);
}

/// Guards directories: one line for each vBucket, and other files are reported.
#[test]
fn directory_is_shown_as_a_table() {
    let home = TempDir::new().expect("a directory");
    for (case, name) in [
        ("b_ten", "3.couch.1"),
        ("h_boundary", "1021.couch.12"),
        ("b_ten", "master.couch.1"),
    ] {
        copy_couchstore(case, &home.path().join(name));
    }
    let ended = DCP_SIM.run_in(home.path(), &["inspect", "."]).with_code(0);
    insta::assert_snapshot!("inspect_directory", ended.stdout);
    assert_eq!(
        ended.stderr,
        "note: ./master.couch.1 is left out: the vendor's own\n"
    );
    copy_couchstore("f_bad_header", &home.path().join("7.couch.1"));
    let ended = DCP_SIM
        .run(&["inspect", argument(home.path())])
        .with_code(4);
    assert!(
        ended.error().contains("7.couch.1 at offset 12288"),
        "{ended:#?}"
    );
    assert!(ended.stdout.contains("2 vBuckets"), "{ended:#?}");
}

/// Guards the hint for a caller that names a cluster's directory instead of a node's.
#[test]
fn cluster_directory_is_refused_with_a_hint() {
    let home = TempDir::new().expect("a directory");
    let refused = DCP_SIM
        .run(&["inspect", argument(home.path())])
        .with_code(2);
    assert!(
        refused.error().contains("no vBucket's file"),
        "{refused:#?}"
    );
    std::fs::create_dir(home.path().join("node-0")).expect("made");
    let refused = DCP_SIM
        .run(&["inspect", argument(home.path())])
        .with_code(2);
    assert!(refused.hint().contains("node-0"), "{refused:#?}");
}
