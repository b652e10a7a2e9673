//! The vendor's files, read by us, against what the vendor's own tools say about them. `fixtures/couchstore/ORIGIN.md`
//! tells where they come from.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use checkpoint::{Datatype, DurabilityLevel, Item, Key, Namespace, Operation, Seqno};
use persistence::couchstore::{CouchFile, DocInfo, Tree};
use persistence::disk::OsDisk;
use persistence::{EngineError, ScanLimit};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/couchstore").join(name)
}

fn open(case: &str) -> Result<CouchFile, EngineError> {
    CouchFile::open_read_only(&OsDisk::new(), &fixture(&format!("{case}.couch.1")))
}

fn dump(case: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture(&format!("{case}.byseq.jsonl"))).expect("fixture");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Undoes the dump's decoding: "(prepare:collection:0x8)user", "(collection:0x0:default)user".
fn key(id: &str) -> (Namespace, Key) {
    let (prefix, user) = id.strip_prefix('(').and_then(|id| id.split_once(')')).expect("a decoded key");
    let (namespace, prefix) = match prefix.strip_prefix("prepare:") {
        Some(rest) => (Namespace::Prepared, rest),
        None => (Namespace::Committed, prefix),
    };
    let collection =
        prefix.strip_prefix("collection:0x").expect("a collection").split(':').next().expect("an id");
    let collection = u32::from_str_radix(collection, 16).expect("hex");
    (namespace, Key::in_collection(collection, user.as_bytes()))
}

fn number(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or_else(|| panic!("{field} in {row}"))
}

/// A value as the dump shows it: inflated, without extended attributes, parsed where it is JSON.
fn shown(item: &Item) -> Value {
    let Some(value) = &item.value else { return Value::Null };
    let mut value = value.to_vec();
    if item.datatype.contains(Datatype::SNAPPY) {
        value = snap::raw::Decoder::new().decompress_vec(&value).expect("snappy");
    }
    if item.datatype.contains(Datatype::XATTR) {
        let len = u32::from_be_bytes(value[..4].try_into().expect("a length")) as usize;
        value.drain(..4 + len);
    }
    if item.datatype.contains(Datatype::JSON) {
        return serde_json::from_slice(&value).expect("JSON");
    }
    Value::from(String::from_utf8(value).expect("UTF-8"))
}

fn check_row(case: &str, row: &Value, info: &DocInfo) {
    assert_eq!(info.seqno.0, number(row, "seq"), "{case}");
    assert_eq!(info.body_position, number(row, "file_offset"), "{case} {row}");
    assert_eq!(info.physical_bytes, number(row, "physical_size"), "{case} {row}");
    assert_eq!(format!("0x{:02x}", info.content_meta), row["content_meta"], "{case} {row}");
    assert_eq!(info.is_compressed(), row["snappy"].as_bool().unwrap_or(false), "{case} {row}");
}

fn check_item(case: &str, row: &Value, item: &Item) {
    let (namespace, key) = key(row["id"].as_str().expect("an id"));
    assert_eq!(item.key, key, "{case}");
    let abort = row["sync_write"] == "abort";
    let operation = match (namespace, row["deleted"].as_str()) {
        (Namespace::Prepared, _) if abort => Operation::Abort,
        (Namespace::Prepared, _) => Operation::Prepare,
        (_, None) => Operation::Mutation,
        (_, Some("TTL")) => Operation::Expiration,
        (_, Some(_)) => Operation::Deletion,
    };
    assert_eq!(item.operation, operation, "{case} {row}");
    assert_eq!(item.seqno.0, number(row, "seq"), "{case}");
    assert_eq!(item.rev_seqno, number(row, "rev"), "{case} {row}");
    assert_eq!(item.cas.to_string(), row["cas"], "{case} {row}");
    assert_eq!(u64::from(item.flags), number(row, "flags"), "{case} {row}");
    let time = if row["deleted"].is_null() { "expiry" } else { "delete_time" };
    assert_eq!(u64::from(item.expiry), number(row, time), "{case} {row}");
    assert_eq!(u64::from(item.datatype.0), number(row, "datatype"), "{case} {row}");
    assert_eq!(shown(item), row["body"], "{case} {row}");
    if operation == Operation::Prepare {
        assert_eq!(item.deleted, row["isDelete"], "{case} {row}");
        assert_eq!(item.durability, Some(DurabilityLevel::Majority), "{case} {row}");
        assert_eq!(row["level"], "majority");
    } else {
        assert_eq!(item.deleted, !row["deleted"].is_null() && !abort, "{case} {row}");
        let prepare = if abort { number(row, "prepareSeqno") } else { 0 };
        assert_eq!(item.prepare_seqno.0, prepare, "{case} {row}");
    }
}

/// The header as `couch_dbinfo` prints its newest one.
fn check_header(case: &str, file: &CouchFile) {
    let text = fs::read_to_string(fixture(&format!("{case}.info.txt"))).expect("fixture");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim_start_matches([' ', '└', '─']).strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("{case}: no {name}"));
        line.trim_start_matches(':').trim().trim_end_matches(" bytes").to_owned()
    };
    let header = file.header();
    assert_eq!(header.position.to_string(), field("Header at file offset"), "{case}");
    assert_eq!(header.version.to_string(), field("file format version"), "{case}");
    assert_eq!(header.info.high.to_string(), field("update_seq"), "{case}");
    assert_eq!(header.info.purge.to_string(), field("purge_seq"), "{case}");
    assert_eq!(header.info.items.to_string(), field("doc count"), "{case}");
    assert_eq!(header.info.deleted.to_string(), field("deleted doc count"), "{case}");
    if header.version >= 13 {
        assert_eq!(header.timestamp.to_string(), field("timestamp"), "{case}");
    }
    for (bytes, name) in [
        (header.by_id_bytes, "by-id tree"),
        (header.by_seqno_bytes, "by-seqno tree"),
        (header.local_bytes, "local size"),
    ] {
        // From a kilobyte on the tool rounds.
        if !field(name).ends_with("kB") {
            assert_eq!(bytes.to_string(), field(name), "{case}");
        }
    }
}

fn check(case: &str) {
    let file = open(case).unwrap_or_else(|error| panic!("{case}: {error}"));
    check_header(case, &file);
    let rows = dump(case);
    let infos: Vec<DocInfo> =
        file.doc_infos(Seqno(0)).expect("rows").map(|row| row.expect("readable")).collect();
    let slice = file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE).expect("readable");
    assert_eq!((rows.len(), rows.len()), (infos.len(), slice.items.len()), "{case}");
    for ((row, info), item) in rows.iter().zip(&infos).zip(&slice.items) {
        check_row(case, row, info);
        check_item(case, row, item);
        let namespace = item.operation.namespace().expect("stored");
        assert_eq!(file.get(namespace, &item.key).expect("readable").as_ref(), Some(item), "{case}");
        assert_eq!(file.doc_info(&info.id).expect("readable").as_ref(), Some(info), "{case}");
    }
    assert_eq!(file.get(Namespace::Committed, &Key::new(b"no such key")).expect("readable"), None);
    for tree in [Tree::ById, Tree::BySeqno] {
        let entries: usize =
            file.shape(tree).expect("readable").iter().filter(|node| node.leaf).map(|n| n.entries).sum();
        assert_eq!(entries, rows.len(), "{case}");
    }
}

#[test]
fn content_is_what_the_vendors_tools_print() {
    for case in ["b_ten", "d_rich", "e_base", "h_boundary", "g_ten_v11", "g_ten_v12", "g_ten_v13"] {
        check(case);
    }
}

#[test]
fn files_of_older_releases_are_read() {
    for release in ["6.6.5", "7.6.11"] {
        for case in ["b_ten", "d_rich", "h_boundary"] {
            check(&format!("j_v{release}_{case}"));
        }
    }
}

#[test]
fn files_the_vendor_compacted_are_read() {
    for case in ["k_compact_d_rich", "k_compact_drop_d_rich", "k_compact_h_boundary"] {
        check(case);
        assert_eq!(open(case).expect("opens").header().previous, None);
    }
    assert_eq!(open("d_rich").expect("opens").header().previous, Some(8192));
}

#[test]
fn files_without_documents_are_read() {
    for (case, position, previous) in [("a_created", 0, None), ("a_empty", 4096, Some(0))] {
        let file = open(case).expect("opens");
        check_header(case, &file);
        assert_eq!((file.header().position, file.header().previous), (position, previous));
        assert!(file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE).expect("readable").items.is_empty());
        assert_eq!(file.local_docs().expect("readable"), []);
        assert_eq!(file.state().expect("readable"), None);
    }
}

#[test]
fn interrupted_commits_are_not_seen() {
    for case in [
        "e_torn_in_doc",
        "e_torn_before_header",
        "e_torn_header_type0",
        "e_header_not_activated",
        "e_zero_tail",
    ] {
        check(case);
    }
}

#[test]
fn local_documents_and_state_are_read() {
    let file = open("d_rich").expect("opens");
    let names: Vec<Bytes> = file.local_docs().expect("readable").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["_local/collections/manifest", "_local/collections/open", "_local/vbstate", "|0x0|"]);
    let state = file.state().expect("readable").expect("there");
    assert_eq!(state.failover_log.newest().uuid.0, 223_141_296_423_145);
    assert_eq!((state.snapshot_start, state.snapshot_end), (Seqno(18), Seqno(18)));
    assert_eq!((state.prepared_seqno, state.max_deleted_rev_seqno), (Seqno(14), 17));
    assert_eq!(state.replication_topology, [["n_0", "n_1"]]);
}

#[test]
fn damage_under_the_newest_header_is_never_passed_over() {
    for case in ["e_torn_in_header", "f_bad_header", "f_bad_blocktype"] {
        assert!(matches!(open(case), Err(EngineError::Corrupt { offset: 12288, .. })), "{case}");
    }
}

#[test]
fn encrypted_files_are_refused_by_name() {
    for case in ["i_encrypted_v0_wrapped", "i_encrypted_v1_derived"] {
        match open(case) {
            Err(EngineError::Unsupported { what, .. }) => assert!(what.contains("encrypted"), "{what}"),
            other => panic!("{case}: {other:?}"),
        }
    }
}

#[test]
fn one_damaged_body_is_one_error() {
    for case in ["f_bad_doc", "f_bad_len"] {
        let file = open(case).expect("opens");
        let damaged = Key::new(b"key02");
        for n in 0..10 {
            let key = Key::new(format!("key{n:02}").as_bytes());
            let got = file.get(Namespace::Committed, &key);
            if key == damaged {
                assert!(matches!(got, Err(EngineError::Corrupt { offset: 5459, .. })), "{case}: {got:?}");
            } else {
                assert!(got.expect("readable").is_some(), "{case}");
            }
        }
        let scan = file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE);
        assert!(matches!(scan, Err(EngineError::Corrupt { offset: 5459, .. })), "{case}");
    }
}

#[test]
fn a_damaged_root_costs_one_index() {
    let (id, seqno) = (open("f_bad_id_root").expect("opens"), open("f_bad_seq_root").expect("opens"));
    let scan =
        |file: &CouchFile| file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE).map(|slice| slice.items.len());
    let get = |file: &CouchFile| file.get(Namespace::Committed, &Key::new(b"key02"));
    assert_eq!(scan(&id).expect("readable"), 10);
    assert!(matches!(get(&id), Err(EngineError::Corrupt { offset: 7346, .. })));
    assert!(get(&seqno).expect("readable").is_some());
    assert!(matches!(scan(&seqno), Err(EngineError::Corrupt { offset: 7610, .. })));
}
