//! `compact` of a log store: in place, into another directory, and the refusals that leave nothing
//! behind.

use std::fs;
use std::path::Path;

use lowtide_checkpoint::{Item, Key, Seqno};
use serde_json::Value;
use support::cli::argument;

use super::home::{commit, flip, home, open, run, set};
use crate::DCP_SIM;

/// Guards that segments are freed, and that the content stays.
#[test]
fn log_store_compacted_in_place_keeps_its_content() {
    let (_home, dir) = home();
    let before = run("dump", &dir, &[]).with_code(0).stdout;
    let dead =
        |dir: &Path| run("inspect", dir, &["--json"]).with_code(0).json()["dead_bytes"].as_u64();
    let dead_before = dead(&dir);
    let document = run("compact", &dir, &["--in-place", "--json"])
        .with_code(0)
        .json();
    assert_eq!(document["files"].as_array().map(Vec::len), Some(2));
    assert!(
        document["files"][0]["bytes_after"].as_u64()
            < document["files"][0]["bytes_before"].as_u64()
    );
    assert!(
        run("dump", &dir, &[]).with_code(0).stdout == before,
        "the same content"
    );
    assert!(dead(&dir) < dead_before);
    let purged = run(
        "compact",
        &dir,
        &["--in-place", "--purge-upto", "103", "--json"],
    )
    .with_code(0)
    .json();
    assert_eq!(
        purged["files"][0]["tombstones_purged"], 0,
        "the highest seqno stays"
    );
    let _sound = run("check", &dir, &[]).with_code(0);
    for options in [["--output", "elsewhere"].as_slice(), &["--in-place"]] {
        let refused = run(
            "compact",
            &dir,
            &[options, &["--purge-before", "1"]].concat(),
        )
        .with_code(2);
        assert!(refused.hint().contains("--purge-upto"), "{refused:#?}");
    }
    let _open = open(&dir);
    let refused = run("compact", &dir, &["--in-place"]).with_code(3);
    assert!(refused.hint().contains("open elsewhere"), "{refused:#?}");
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir)
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Guards content, soundness and size of the new store, and both reports, text and JSON.
#[test]
fn log_store_compacted_into_another_keeps_its_content() {
    let (home, dir) = home();
    for first in (103..503).step_by(20) {
        let items = (0..20).map(|n| {
            set(
                first + n,
                format!("key-{n:02}").as_bytes(),
                vec![b'z'; 2000],
            )
        });
        commit(&open(&dir), 3, &items.collect::<Vec<_>>());
    }
    let new = home.path().join("small");
    let shown = |dir: &Path| {
        [&[][..], &["--by", "key"]].map(|options| run("dump", dir, options).with_code(0).stdout)
    };
    let told = DCP_SIM
        .run_in(home.path(), &["compact", "node-0", "--output", "small"])
        .with_code(0);
    assert_eq!(
        told.stdout.trim_end(),
        "small: 512.0 KiB of 2.0 MiB, 24 documents and tombstones"
    );
    assert_eq!(names(home.path()), ["node-0", "small"]);
    assert!(shown(&new) == shown(&dir), "the same content");
    let _sound = run("check", &new, &[]).with_code(0);
    let figures = |dir: &Path| run("inspect", dir, &["--json"]).with_code(0).json();
    let (before, after) = (figures(&dir), figures(&new));
    for name in ["segment_bytes", "segments_per_file", "findings"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    for name in [
        "vb",
        "high_seqno",
        "purge_seqno",
        "documents",
        "tombstones",
        "state",
        "collections",
    ] {
        assert_eq!(
            before["vbuckets"][0][name], after["vbuckets"][0][name],
            "{name}"
        );
    }

    commit(
        &open(&dir),
        3,
        &[Item {
            seqno: Seqno(503),
            ..Item::deletion(Key::new(b"key-07"))
        }],
    );
    commit(&open(&dir), 3, &[set(504, b"last", b"l".to_vec())]);
    let purged = home.path().join("purged");
    let options = [
        "--output",
        argument(&purged),
        "--purge-upto",
        "503",
        "--json",
    ];
    let document = run("compact", &dir, &options).with_code(0).json();
    let file = &document["files"][0];
    assert_eq!(
        (&document["in_place"], &file["vb"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(
        (&file["tombstones_purged"], &file["items"]),
        (&1.into(), &24.into())
    );
    assert_eq!(file["output"], argument(&purged));
    assert_eq!(figures(&purged)["vbuckets"][0]["purge_seqno"], 503);
    assert_eq!(
        figures(&dir)["vbuckets"][0]["purge_seqno"],
        0,
        "the old one has it still"
    );
}

/// Guards existing files: each refusal leaves them as they were, and no half-made store.
#[test]
fn log_store_compaction_refused_leaves_nothing_behind() {
    let (home, dir) = home();
    let to = |output: &str| DCP_SIM.run_in(home.path(), &["compact", "node-0", "--output", output]);
    let _nowhere = to("nowhere/new").with_code(3);
    let inside = to("node-0/new").with_code(2);
    assert!(
        inside.error().contains("inside") && inside.hint().contains("elsewhere"),
        "{inside:#?}"
    );
    fs::write(home.path().join("taken"), b"precious").expect("written");
    for output in ["taken", "node-0", ".."] {
        let taken = to(output).with_code(2);
        assert!(
            taken.hint().contains("nothing is overwritten"),
            "{taken:#?}"
        );
    }
    fs::create_dir(home.path().join("new.unfinished")).expect("made");
    let killed = to("new").with_code(2);
    assert!(killed.hint().contains("killed"), "{killed:#?}");
    fs::remove_dir(home.path().join("new.unfinished")).expect("removed");
    assert_eq!(names(home.path()), ["node-0", "taken"]);
    // A damaged image does not matter, because it only shortens opening.
    flip(&dir.join("index-00000001"), 10);
    let _copied = to("new").with_code(0);
    fs::remove_dir_all(home.path().join("new")).expect("removed");
    flip(&dir.join("log-00000000"), 4096 + 100);
    let damaged = to("new").with_code(4);
    assert!(
        damaged.error().contains("log-00000000") && damaged.hint().contains("check"),
        "{damaged:#?}"
    );
    assert_eq!(names(home.path()), ["node-0", "taken"]);
}
