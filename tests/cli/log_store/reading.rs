//! `inspect`, `dump` and `check` of a log store: pictures, JSON, rows and verdicts, sound and
//! damaged.

use std::fs;

use lowtide_persistence::Engine;
use serde_json::Value;

use super::home::{flip, home, open, run};
use crate::DCP_SIM;

/// Guards the picture: plain without a terminal, and the same each time.
#[test]
fn log_store_picture_is_plain_and_repeatable() {
    let (home, _) = home();
    let ended = DCP_SIM
        .run_in(home.path(), &["inspect", "node-0"])
        .with_code(0);
    assert!(!ended.stdout.contains('\u{1b}'), "no colours");
    insta::assert_snapshot!("inspect_log_store", ended.stdout);
}

/// Guards the JSON: the parts add up to the whole.
#[test]
fn log_store_json_has_every_figure() {
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

/// Guards T4 for log stores: each row once, in the requested order, with the value as it was
/// written.
#[test]
fn log_store_dump_has_each_row_once() {
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

/// Guards the verdict and its text.
#[test]
fn log_store_check_reports_damage() {
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
    // The damaged records are old revisions, so all keys are left.
    let dump = run("dump", &dir, &[]).with_code(4);
    assert!(
        dump.stdout.lines().count() == 23 && dump.stderr.contains("acknowledged"),
        "{dump:#?}"
    );
    flip(&dir.join("MANIFEST"), 20);
    for command in ["inspect", "dump", "check"] {
        let ended = run(command, &dir, &[]).with_code(4);
        assert!(ended.error().contains("MANIFEST"), "{ended:#?}");
        assert!(
            ended.stderr.contains("hint: ") && !ended.stderr.contains("recover"),
            "it refuses a log store: {ended:#?}"
        );
    }
}

/// Guards that an image is checked, and that it affects nothing except time.
#[test]
fn damaged_image_is_reported_and_everything_is_shown() {
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
