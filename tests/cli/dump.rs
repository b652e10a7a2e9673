//! T4: `dcp-sim dump` against the output of the vendor's own tool for the same files.

use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;

use lowtide_checkpoint::{
    DurabilityLevel, FailoverLog, Item, Key, Operation, Seqno, State, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{CommitBatch, Engine};
use serde_json::Value;
use support::cli::argument;
use support::fixtures::{copy_couchstore, couchstore_dir, couchstore_file};
use tempfile::TempDir;

use super::DCP_SIM;

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn dump(case: &str, options: &[&str], code: i32) -> Vec<Value> {
    let file = couchstore_file(case);
    lines(
        &DCP_SIM
            .run_in(&couchstore_dir(), &[&["dump", &file], options].concat())
            .with_code(code)
            .stdout,
    )
}

/// Returns the vendor's "(prepare:collection:0x8)user" or "(collection:0x0:default)user" as our
/// three fields.
fn key(id: &str) -> (Value, Value, Value) {
    let (prefix, user) = id
        .strip_prefix('(')
        .and_then(|id| id.split_once(')'))
        .expect("a decoded key");
    let (namespace, prefix) = match prefix.strip_prefix("prepare:") {
        Some(rest) => ("prepared".into(), rest),
        None => (Value::Null, prefix),
    };
    let number = prefix
        .strip_prefix("collection:0x")
        .and_then(|rest| rest.split(':').next());
    let collection = u32::from_str_radix(number.expect("a collection"), 16).expect("hexadecimal");
    (
        user.into(),
        if collection == 0 {
            Value::Null
        } else {
            collection.into()
        },
        namespace,
    )
}

fn check_line(case: &str, ours: &Value, theirs: &Value) {
    let id = theirs["id"].as_str().expect("an id");
    let fields = (
        ours["key"].clone(),
        ours["collection"].clone(),
        ours["namespace"].clone(),
    );
    assert_eq!(fields, key(id), "{case}");
    let is_deleted = !theirs["deleted"].is_null() || theirs["sync_write"] == "abort";
    let time = if theirs["deleted"].is_null() {
        "expiry"
    } else {
        "delete_time"
    };
    for (name, expected) in [
        ("seqno", &theirs["seq"]),
        ("rev_seqno", &theirs["rev"]),
        ("cas", &theirs["cas"]),
        ("flags", &theirs["flags"]),
        ("expiry", &theirs[time]),
        ("datatype", &theirs["datatype"]),
        ("deleted", &is_deleted.into()),
    ] {
        assert_eq!(&ours[name], expected, "{case} {id}: {name}");
    }
    let source = match theirs["deleted"].as_str() {
        // An abort deletes no document.
        _ if theirs["sync_write"] == "abort" => Value::Null,
        Some("TTL") => "ttl".into(),
        Some(source) => source.into(),
        None => Value::Null,
    };
    for (name, expected) in [
        ("delete_source", &source),
        ("durability_level", &theirs["level"]),
        ("prepare_is_delete", &theirs["isDelete"]),
        ("prepare_seqno", &theirs["prepareSeqno"]),
    ] {
        assert_eq!(&ours[name], expected, "{case} {id}: {name}");
    }
    let datatype = theirs["datatype"].as_u64().expect("a number");
    let value = &ours["value"];
    match datatype {
        // The vendor's values are inflated, and lack extended attributes.
        2.. => assert!(
            ours["value_hex"].is_string() || value.is_string(),
            "{case} {id}"
        ),
        _ if theirs["body"].is_null() => assert_eq!(value, &Value::Null, "{case} {id}"),
        1 => {
            let json: Value = serde_json::from_str(value.as_str().expect("text")).expect("JSON");
            assert_eq!(json, theirs["body"], "{case} {id}");
        }
        _ => assert_eq!(value, &theirs["body"], "{case} {id}"),
    }
}

/// Guards every field of every document, in both orders.
#[test]
fn dump_equals_the_vendors_tool() {
    let mut seen = 0;
    for case in [
        "b_ten",
        "d_rich",
        "e_base",
        "e_torn_in_doc",
        "g_ten_v11",
        "h_boundary",
        "j_v6.6.5_d_rich",
        "j_v7.6.11_h_boundary",
        "k_compact_drop_d_rich",
    ] {
        let theirs = std::fs::read_to_string(couchstore_dir().join(format!("{case}.byseq.jsonl")));
        let theirs = lines(&theirs.expect("a fixture"));
        let ours = dump(case, &[], 0);
        assert_eq!(ours.len(), theirs.len(), "{case}");
        ours.iter()
            .zip(&theirs)
            .for_each(|(ours, theirs)| check_line(case, ours, theirs));
        let mut by_key = dump(case, &["--by", "key"], 0);
        by_key.sort_by_key(|line| line["seqno"].as_u64());
        assert_eq!(by_key, ours, "{case}");
        seen += ours.len();
    }
    assert!(seen > 100, "{seen}");
}

/// Guards the fields that only durable writes and deletions have, which both engines store.
#[test]
fn durable_writes_and_deletions_are_distinct_in_both_engines() {
    let home = TempDir::new().expect("a directory");
    let dirs = ["couchstore", "logstor"].map(|name| home.path().join(name));
    let disk = || Arc::new(OsDisk::new());
    let couchstore = Couchstore::open(disk(), &dirs[0], CouchstoreConfig::default())
        .expect("open")
        .0;
    let logstor = Logstor::open(disk(), &dirs[1], LogstorConfig::new([1, 2]))
        .expect("open")
        .0;
    let engines: [&dyn Engine; 2] = [&couchstore, &logstor];
    let new = |seqno: u64, operation, key: &str| Item {
        seqno: Seqno(seqno),
        ..Item::new(operation, Key::new(key.as_bytes()))
    };
    let durability = Some(DurabilityLevel::PersistToMajority);
    let items = [
        new(1, Operation::Deletion, "deleted"),
        new(2, Operation::Expiration, "expired"),
        Item {
            durability,
            value: Some("v".into()),
            ..new(3, Operation::Prepare, "set")
        },
        Item {
            deleted: true,
            durability: Some(DurabilityLevel::Majority),
            ..new(4, Operation::Prepare, "gone")
        },
        Item {
            prepare_seqno: Seqno(3),
            ..new(5, Operation::Abort, "aborted")
        },
        Item {
            value: Some("v".into()),
            ..new(6, Operation::Mutation, "plain")
        },
    ];
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(7)));
    for engine in engines {
        engine.create(Vbid(0)).expect("created");
        let items = items.each_ref();
        let batch = CommitBatch::new(Vbid(0), &items, &state).with_timestamp(1);
        let _ = engine
            .commit(&[batch])
            .pop()
            .expect("one")
            .expect("committed");
    }
    couchstore.close().expect("closed");
    logstor.close().expect("closed");
    let null = || Value::Null;
    let wanted = [
        ["explicit".into(), null(), null(), null()],
        ["ttl".into(), null(), null(), null()],
        [null(), "persistToMajority".into(), false.into(), null()],
        [null(), "majority".into(), true.into(), null()],
        [null(), null(), null(), 3.into()],
        [null(), null(), null(), null()],
    ];
    for dir in &dirs {
        let found = lines(&DCP_SIM.run(&["dump", argument(dir)]).with_code(0).stdout);
        let fields = [
            "delete_source",
            "durability_level",
            "prepare_is_delete",
            "prepare_seqno",
        ];
        let found: Vec<_> = found
            .iter()
            .map(|line| fields.map(|field| line[field].clone()))
            .collect();
        assert_eq!(found, wanted, "{}", dir.display());
    }
}

/// Guards the exact text of the lines: other programs read them.
#[test]
fn dump_lines_have_the_documented_text() {
    for (name, case, options) in [
        ("dump_seqno", "b_ten", &[][..]),
        ("dump_key", "d_rich", &["--by", "key"]),
        ("dump_local", "d_rich", &["--local"]),
    ] {
        let file = couchstore_file(case);
        let ended = DCP_SIM
            .run_in(&couchstore_dir(), &[&["dump", &file], options].concat())
            .with_code(0);
        insta::assert_snapshot!(name, ended.stdout);
    }
}

/// Guards that an older header shows the documents of its time, and that none precedes the first.
#[test]
fn dump_of_an_older_header_shows_its_documents() {
    assert_eq!(
        dump("e_base", &["--headers-back", "1"], 0),
        dump("e_torn_in_doc", &[], 0)
    );
    assert_eq!(
        dump("e_base", &["--headers-back", "2"], 0),
        [Value::Null; 0]
    );
    let file = couchstore_file("e_base");
    let ended = DCP_SIM
        .run_in(&couchstore_dir(), &["dump", &file, "--headers-back", "3"])
        .with_code(2);
    assert!(
        ended.error().contains("only 2 headers before"),
        "{ended:#?}"
    );
}

/// Guards that damage to one document, or one index, costs only that and is reported.
#[test]
fn dump_of_a_damaged_file_prints_the_readable_rest() {
    let file = couchstore_file("f_bad_doc");
    let ended = DCP_SIM
        .run_in(&couchstore_dir(), &["dump", &file])
        .with_code(4);
    assert_eq!(lines(&ended.stdout).len(), 9);
    assert!(ended.error().contains("seqno 13 is left out"), "{ended:#?}");
    assert_eq!(dump("f_bad_seq_root", &["--by", "key"], 0).len(), 10);
    assert_eq!(dump("f_bad_seq_root", &[], 4), [Value::Null; 0]);
    let file = couchstore_file("f_bad_header");
    let ended = DCP_SIM
        .run_in(&couchstore_dir(), &["dump", &file])
        .with_code(4);
    assert!(
        ended.error().contains("offset 12288") && ended.hint().contains("recover"),
        "{ended:#?}"
    );
}

/// Guards directories: vBucket by vBucket with their ids, or one of them.
#[test]
fn dump_of_a_directory_is_ordered_by_vbucket() {
    let home = TempDir::new().expect("a directory");
    copy_couchstore("e_base", &home.path().join("12.couch.3"));
    copy_couchstore("b_ten", &home.path().join("3.couch.1"));
    let run = |options: &[&str]| DCP_SIM.run(&[&["dump", argument(home.path())], options].concat());
    let all = lines(&run(&[]).with_code(0).stdout);
    let vbs: Vec<_> = all.iter().map(|line| line["vb"].as_u64()).collect();
    assert_eq!(vbs, [vec![Some(3); 10], vec![Some(12); 10]].concat());
    let one = lines(&run(&["--vb", "12"]).with_code(0).stdout);
    assert_eq!(one, dump("e_base", &[], 0));
    let none = run(&["--vb", "4"]).with_code(2);
    assert!(none.error().contains("no file of vBucket 4"), "{none:#?}");
}

/// Guards that the command ends silently if the reader closes its pipe.
#[test]
fn dump_into_a_closed_pipe_ends_silently() {
    let mut command = DCP_SIM.command(&["dump", &couchstore_file("h_boundary")]);
    let child = command
        .current_dir(couchstore_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("the program runs");
    let mut first = [0; 10];
    child
        .stdout
        .take()
        .expect("piped")
        .read_exact(&mut first)
        .expect("a line");
    let ended = child.wait_with_output().expect("waited for");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}
