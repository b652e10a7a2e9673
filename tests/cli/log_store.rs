//! The tools over a log store's directory: what they show, find and leave alone (T7 to T9).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Batch, Engine};
use serde_json::Value;
use support::cli::{Ended, argument};
use tempfile::TempDir;

use super::DCP_SIM;

/// Closing writes an image of the index when a sixteenth of `image_bytes` was appended.
const SMALL: LogstorConfig = LogstorConfig {
    segment_bytes: 64 << 10,
    file_bytes: 256 << 10,
    image_bytes: 1 << 20,
    ..LogstorConfig::DEFAULT
};

fn open(dir: &Path) -> Logstor {
    Logstor::open(Arc::new(OsDisk::new()), dir, SMALL)
        .expect("a store that opens")
        .0
}

fn commit(store: &Logstor, vb: u16, items: &[Item]) {
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(0xabc)));
    let items: Vec<&Item> = items.iter().collect();
    let batch = Batch {
        vb: Vbid(vb),
        items: &items,
        state: &state,
        timestamp: 1,
    };
    let _committed = store
        .commit(&[batch])
        .pop()
        .expect("one")
        .expect("committed");
}

fn set(seqno: u64, key: &[u8], value: Vec<u8>) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key), Bytes::from(value))
    }
}

/// vBucket 3 is overwritten five times over, has a large value and a deletion; vBucket 9 has strange keys.
pub(super) fn make(dir: &Path) {
    let store = open(dir);
    for vb in [3, 9] {
        store.create(Vbid(vb)).expect("created");
    }
    commit(
        &store,
        9,
        &[
            set(1, b"\xff\x01", b"\xfe".to_vec()),
            set(2, b"text", b"{\"a\":1}".to_vec()),
        ],
    );
    for round in 0..5 {
        let items: Vec<Item> = (1..=20)
            .map(|n| {
                set(
                    round * 20 + n,
                    format!("key-{n:02}").as_bytes(),
                    vec![b'a' + round as u8; 2000],
                )
            })
            .collect();
        commit(&store, 3, &items);
    }
    commit(&store, 3, &[set(101, b"large", vec![b'x'; 100_000])]);
    commit(
        &store,
        3,
        &[Item {
            seqno: Seqno(102),
            ..Item::deletion(Key::new(b"key-07"))
        }],
    );
    store.close().expect("closed");
}

fn home() -> (TempDir, PathBuf) {
    let home = TempDir::new().expect("a directory");
    let dir = home.path().join("node-0");
    make(&dir);
    (home, dir)
}

fn run(command: &str, dir: &Path, options: &[&str]) -> Ended {
    DCP_SIM.run(&[&[command, argument(dir)], options].concat())
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("there");
    bytes[offset] ^= 4;
    fs::write(path, bytes).expect("written");
}

/// Guards the picture: plain without a terminal, and the same each time.
#[test]
fn a_picture_reads_well() {
    let (home, _) = home();
    let ended = DCP_SIM
        .run_in(home.path(), &["inspect", "node-0"])
        .with_code(0);
    assert!(!ended.stdout.contains('\u{1b}'), "no colours");
    insta::assert_snapshot!("inspect_log_store", ended.stdout);
}

/// Guards the JSON: the parts come to the whole.
#[test]
fn json_has_every_figure_of_a_log_store() {
    let (_home, dir) = home();
    let document = run("inspect", &dir, &["--json"]).with_code(0).json();
    let number = |of: &Value, name: &str| of[name].as_u64().expect("a number");
    let parts = ["live_bytes", "dead_bytes", "free_bytes"].map(|name| number(&document, name));
    assert_eq!(parts.iter().sum::<u64>(), number(&document, "file_bytes"));
    assert_eq!(document["engine"], "logstor");
    let segments = document["segments"].as_array().expect("segments");
    assert_eq!(
        segments
            .iter()
            .map(|segment| number(segment, "live_bytes"))
            .sum::<u64>(),
        parts[0]
    );
    let vbuckets = document["vbuckets"].as_array().expect("vBuckets");
    assert_eq!(
        vbuckets
            .iter()
            .map(|vb| number(vb, "live_bytes"))
            .sum::<u64>(),
        parts[0]
    );
    assert_eq!(
        (&vbuckets[0]["high_seqno"], &vbuckets[0]["tombstones"]),
        (&102.into(), &1.into())
    );
    assert_eq!(
        (&vbuckets[0]["documents"], &vbuckets[0]["state"]["state"]),
        (&20.into(), &"active".into())
    );
    let image = &document["images"][0];
    assert_eq!(document["images"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (number(image, "keys"), number(image, "segments_current")),
        (23, 6)
    );
    assert!(
        image["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("index-00000001")),
        "{image}"
    );
    assert_eq!(document["others"], Value::Array(Vec::new()));
    assert_eq!(
        (&document["repairs"], &document["refusal"]),
        (&Value::Array(Vec::new()), &Value::Null)
    );
}

/// Guards T4 for log stores: each row once, in the order asked for, with the value as it was given.
#[test]
fn a_dump_is_what_the_store_holds() {
    let (_home, dir) = home();
    let lines = |options: &[&str]| -> Vec<Value> {
        let text = run("dump", &dir, options).with_code(0).stdout;
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    let all = lines(&[]);
    assert_eq!(all.len(), 23);
    let of_vb = |vb: u64| {
        all.iter()
            .filter(|line| line["vb"] == vb)
            .collect::<Vec<_>>()
    };
    let seqnos: Vec<_> = of_vb(3)
        .iter()
        .map(|line| line["seqno"].as_u64().expect("one"))
        .collect();
    assert!(seqnos.is_sorted() && seqnos.len() == 21, "{seqnos:?}");
    let [strange, text] = of_vb(9)[..] else {
        panic!("{all:?}")
    };
    assert_eq!(
        (&strange["key_hex"], &strange["value_hex"]),
        (&"ff01".into(), &"fe".into())
    );
    assert_eq!(
        (&text["key"], &text["value"]),
        (&"text".into(), &"{\"a\":1}".into())
    );
    let last = of_vb(3)[20];
    assert_eq!(
        (&last["key"], &last["deleted"], &last["value"]),
        (&"key-07".into(), &true.into(), &Value::Null)
    );
    let by_key = lines(&["--by", "key", "--vb", "3"]);
    let keys: Vec<_> = by_key
        .iter()
        .map(|line| line["key"].as_str().expect("text"))
        .collect();
    assert!(
        keys.is_sorted() && keys.len() == 21 && by_key[0]["vb"].is_null(),
        "{keys:?}"
    );
    assert_eq!(by_key[20]["value"].as_str().map(str::len), Some(100_000));
    let _unknown = run("dump", &dir, &["--vb", "4"]).with_code(2);
    let _local = run("dump", &dir, &["--local"]).with_code(2);
    let _back = run("dump", &dir, &["--headers-back", "1"]).with_code(2);
}

/// Guards the verdict and its words.
#[test]
fn a_check_tells_sound_from_damaged() {
    let (home, dir) = home();
    let check =
        |options: &[&str]| DCP_SIM.run_in(home.path(), &[&["check", "node-0"], options].concat());
    let sound = check(&[]).with_code(0);
    insta::assert_snapshot!("check_log_store", sound.stdout);
    flip(&dir.join("log-00000000"), 4096 + 100);
    insta::assert_snapshot!("check_log_store_damaged", check(&[]).with_code(4).stdout);
    let document = check(&["--json"]).with_code(4).json();
    assert_eq!(
        (&document["sound"], &document["findings"][0]["kind"]),
        (&false.into(), &"frame".into())
    );
    assert_eq!(document["findings"][0]["offset"], 4096);
    let _picture = run("inspect", &dir, &[]).with_code(4);
    // Newer revisions of the same keys are elsewhere.
    let dump = run("dump", &dir, &[]).with_code(4);
    assert!(
        dump.stdout.lines().count() == 23 && dump.stderr.contains("acknowledged"),
        "{dump:#?}"
    );
    flip(&dir.join("MANIFEST"), 20);
    for command in ["inspect", "dump", "check"] {
        let ended = run(command, &dir, &[]).with_code(4);
        assert!(ended.error().contains("MANIFEST"), "{ended:#?}");
    }
}

/// Guards that an image is looked at, and that nothing but time depends on it.
#[test]
fn a_damaged_image_is_told_and_everything_is_shown() {
    let (_home, dir) = home();
    let dump = run("dump", &dir, &[]).with_code(0).stdout;
    flip(&dir.join("index-00000001"), 100);
    let document = run("check", &dir, &["--json"]).with_code(4).json();
    assert_eq!(
        (&document["images"], &document["findings"][0]["kind"]),
        (&1.into(), &"image".into())
    );
    assert_eq!(
        document["findings"].as_array().map(Vec::len),
        Some(1),
        "{document}"
    );
    assert!(run("dump", &dir, &[]).stdout == dump, "the same content");
    open(&dir).close().expect("closed");
    fs::remove_file(dir.join("index-00000001")).expect("removed");
    let _sound = run("check", &dir, &[]).with_code(0);
    assert!(
        run("inspect", &dir, &[])
            .with_code(0)
            .stdout
            .contains("image        none")
    );
}

/// Guards that segments are freed, and that content stays.
#[test]
fn a_log_store_is_compacted_in_place() {
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

/// Guards content, soundness and size of the new store, in the words of people and programs.
#[test]
fn a_log_store_is_compacted_into_another() {
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

/// Guards what is there: whatever is refused leaves everything as it was, and nothing half made.
#[test]
fn a_log_store_that_is_not_copied_leaves_nothing_behind() {
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
    // An image is only a short cut.
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
