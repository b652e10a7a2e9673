//! Replays of operations that were given to the vendor's library: our trees have the same shape,
//! and our rows the same content.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;
use serde_json::Value;

use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::file::Keyring;
use crate::couchstore::format::{DocInfo, Document, Tree};
use crate::couchstore::store_context::StoreContext;
use crate::couchstore::tests::support::fixture;
use crate::couchstore::tools::{CouchFile, check_file};
use crate::couchstore::write::{Writer, tail_recovery};
use crate::disk::{Access, Disk, MemoryDisk, OsDisk};

fn bytes(hex: &Value) -> Bytes {
    let hex = hex.as_str().expect("hex");
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len())
        .step_by(2)
        .map(byte)
        .collect::<Vec<u8>>()
        .into()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn document(doc: &Value) -> Document {
    let info = DocInfo {
        id: bytes(&doc[0]),
        rev_meta: bytes(&doc[2]),
        seqno: Seqno(number(&doc[3])),
        rev_seqno: number(&doc[4]),
        content_meta: number(&doc[5]) as u8,
        deleted: number(&doc[6]) != 0,
        body_position: 0,
        physical_bytes: 0,
    };
    Document {
        info,
        body: (!doc[1].is_null()).then(|| bytes(&doc[1])),
    }
}

/// Replays an operations log into a new file on a memory disk.
fn replay(ops: &str, commit: CommitMode) -> (MemoryDisk, PathBuf) {
    let (disk, path) = (MemoryDisk::new(), PathBuf::from("/0.couch.1"));
    let shared = Arc::new(StoreContext::new(CouchstoreConfig {
        commit,
        ..CouchstoreConfig::default()
    }));
    let mut writer =
        Writer::create(disk.create(&path).expect("new"), &path, shared).expect("created");
    for line in ops.lines() {
        let op: Value = serde_json::from_str(line).expect("JSON");
        match op["op"].as_str().expect("an operation") {
            "create" => {}
            "save" => {
                let docs = op["docs"].as_array().expect("documents");
                writer
                    .save(docs.iter().map(document).collect())
                    .expect("saved");
            }
            "local" => {
                let value = (!op["value"].is_null()).then(|| bytes(&op["value"]));
                writer.set_local(&bytes(&op["key"]), value).expect("saved");
            }
            "set_purge_seq" => writer.set_purge_seq(number(&op["v"])),
            "commit" => writer.commit(number(&op["ts"])).expect("committed"),
            other => panic!("unknown operation {other}"),
        }
    }
    (disk, path)
}

/// Formats a file's trees as in `*.shape.txt`.
pub(crate) fn shape(file: &CouchFile) -> String {
    let hex = |key: &[u8]| {
        key.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut text = String::new();
    for (name, tree) in [
        ("seq", Tree::BySeqno),
        ("id", Tree::ById),
        ("local", Tree::Local),
    ] {
        for node in file.shape(tree).expect("readable") {
            let kind = if node.leaf { "leaf" } else { "kp" };
            let (first, last) = (hex(&node.first_key), hex(&node.last_key));
            text += &format!(
                "{name} {} {kind} {} {} {first} {last}\n",
                node.depth, node.entries, node.raw_bytes
            );
        }
    }
    text
}

/// Returns rows, without the fields that depend on the snappy encoder, and bodies.
pub(crate) fn rows(file: &CouchFile) -> Vec<(DocInfo, Option<Bytes>)> {
    let rows = file
        .doc_infos(Seqno(0))
        .expect("readable")
        .map(|row| row.expect("readable"));
    rows.map(|mut row| {
        let body = file.body(&row).expect("readable");
        assert_eq!(
            file.doc_info(&row.id).expect("readable"),
            Some(row.clone()),
            "both indexes agree"
        );
        (row.body_position, row.physical_bytes) = (u64::from(row.body_position != 0), 0);
        (row, body)
    })
    .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("fixture")
}

fn check(case: &str, commit: CommitMode) {
    let (disk, path) = replay(&read(&fixture(&format!("{case}.ops.jsonl"))), commit);
    let ours = CouchFile::open_read_only(&disk, &path).expect("opens");
    let golden = fixture(&format!("{case}.couch.1"));
    let theirs = CouchFile::open_read_only(&OsDisk::new(), &golden).expect("opens");
    let mut found = Vec::new();
    check_file(&disk, &path, &Keyring::new(), &mut found).expect("readable");
    // The state in that log was written by hand, without prepares.
    let told_by_hand = usize::from(case == "d_rich");
    assert_eq!(found.len(), told_by_hand, "{case}: {found:?}");
    assert_eq!(rows(&ours), rows(&theirs), "{case}");
    assert_eq!(
        ours.local_docs().expect("readable"),
        theirs.local_docs().expect("readable"),
        "{case}"
    );
    assert_eq!(ours.header().info, theirs.header().info, "{case}");
    assert_eq!(ours.header().timestamp, theirs.header().timestamp, "{case}");
    if ours.header().info.high > Seqno(0) {
        assert_eq!(
            shape(&ours),
            read(&fixture(&format!("{case}.shape.txt"))),
            "{case}"
        );
    }
    assert_eq!(shape(&ours), shape(&theirs), "{case}");
}

#[test]
fn replayed_trees_have_the_vendors_shape() {
    for case in ["a_empty", "b_ten", "d_rich", "e_base", "h_boundary"] {
        check(case, CommitMode::OneSync);
        check(case, CommitMode::TwoPhase);
    }
}

#[test]
fn uncompressed_files_match_the_vendors_bytes() {
    // These files have nothing compressed except the parts that are not compared.
    let (disk, path) = replay(&read(&fixture("a_empty.ops.jsonl")), CommitMode::TwoPhase);
    let file = disk.open(&path, Access::ReadOnly).expect("there");
    let mut ours = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut ours, 0).expect("readable");
    assert_eq!(ours, fs::read(fixture("a_empty.couch.1")).expect("fixture"));
}

#[test]
fn file_of_an_older_version_keeps_it() {
    for (case, version) in [("g_ten_v11", 11), ("g_ten_v12", 12), ("g_ten_v13", 13)] {
        let (disk, path) = (MemoryDisk::new(), PathBuf::from("/0.couch.1"));
        let golden = fs::read(fixture(&format!("{case}.couch.1"))).expect("fixture");
        disk.create(&path)
            .expect("new")
            .write_at(&[&golden], 0)
            .expect("written");
        let file = disk.open(&path, Access::ReadWrite).expect("there");
        let (view, repairs) = tail_recovery::open(file, &path).expect("opens");
        assert_eq!(repairs, Vec::<String>::new());
        let mut writer = Writer::new(
            view,
            Arc::new(StoreContext::new(CouchstoreConfig::default())),
        );
        let before = rows(&CouchFile::open_read_only(&disk, &path).expect("opens"));
        let (mut info, body) = before[3].clone();
        info.seqno = Seqno(11);
        info.body_position = 0;
        writer
            .save(vec![Document {
                info: info.clone(),
                body: body.clone(),
            }])
            .expect("saved");
        writer.commit(1).expect("committed");
        let file = CouchFile::open_read_only(&disk, &path).expect("opens");
        assert_eq!(
            (file.header().version, file.header().info.high),
            (version, Seqno(11))
        );
        assert_eq!(rows(&file).len(), 10);
        assert_eq!(rows(&file).last().expect("some").1, body);
    }
}
