//! Shared by the tests: fixtures, and the comparison of a file with the output of the vendor's
//! tools.

use std::fs;
use std::path::{Path, PathBuf};

use lowtide_checkpoint::{Datatype, DurabilityLevel, Item, Key, Namespace, Operation, Seqno};
use lowtide_persistence::couchstore::{CouchFile, DocInfo, Tree};
use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::{EngineError, ScanLimit};
use serde_json::Value;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/couchstore")
        .join(name)
}

pub(crate) fn path(case: &str) -> PathBuf {
    fixture(&format!("{case}.couch.1"))
}

pub(crate) fn open(case: &str) -> Result<CouchFile, EngineError> {
    CouchFile::open_read_only(&OsDisk::new(), &path(case))
}

pub(crate) fn dump(case: &str, tree: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture(&format!("{case}.{tree}.jsonl"))).expect("fixture");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Undoes the dump's decoding: "(prepare:collection:0x8)user", "(collection:0x0:default)user".
pub(crate) fn key(id: &str) -> (Namespace, Key) {
    let (prefix, user) = id
        .strip_prefix('(')
        .and_then(|id| id.split_once(')'))
        .expect("a decoded key");
    let (namespace, prefix) = match prefix.strip_prefix("prepare:") {
        Some(rest) => (Namespace::Prepared, rest),
        None => (Namespace::Committed, prefix),
    };
    let collection = prefix
        .strip_prefix("collection:0x")
        .expect("a collection")
        .split(':')
        .next()
        .expect("an id");
    let collection = u32::from_str_radix(collection, 16).expect("hex");
    (namespace, Key::in_collection(collection, user.as_bytes()))
}

fn number(row: &Value, field: &str) -> u64 {
    row[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} in {row}"))
}

/// Returns a value as the dump shows it: inflated, without extended attributes, and parsed if it is
/// JSON.
fn shown(item: &Item) -> Value {
    let Some(value) = &item.value else {
        return Value::Null;
    };
    let mut value = value.to_vec();
    if item.datatype.contains(Datatype::SNAPPY) {
        value = snap::raw::Decoder::new()
            .decompress_vec(&value)
            .expect("snappy");
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
    assert_eq!(
        info.body_position,
        number(row, "file_offset"),
        "{case} {row}"
    );
    assert_eq!(
        info.physical_bytes,
        number(row, "physical_size"),
        "{case} {row}"
    );
    assert_eq!(
        format!("0x{:02x}", info.content_meta),
        row["content_meta"],
        "{case} {row}"
    );
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
    let time = if row["deleted"].is_null() {
        "expiry"
    } else {
        "delete_time"
    };
    assert_eq!(u64::from(item.expiry), number(row, time), "{case} {row}");
    assert_eq!(
        u64::from(item.datatype.0),
        number(row, "datatype"),
        "{case} {row}"
    );
    assert_eq!(shown(item), row["body"], "{case} {row}");
    if operation == Operation::Prepare {
        assert_eq!(item.deleted, row["isDelete"], "{case} {row}");
        assert_eq!(
            item.durability,
            Some(DurabilityLevel::Majority),
            "{case} {row}"
        );
        assert_eq!(row["level"], "majority");
    } else {
        assert_eq!(
            item.deleted,
            !row["deleted"].is_null() && !abort,
            "{case} {row}"
        );
        let prepare = if abort {
            number(row, "prepareSeqno")
        } else {
            0
        };
        assert_eq!(item.prepare_seqno.0, prepare, "{case} {row}");
    }
}

/// Compares the header with the newest one that `couch_dbinfo` prints.
pub(crate) fn check_header(case: &str, file: &CouchFile) {
    let text = fs::read_to_string(fixture(&format!("{case}.info.txt"))).expect("fixture");
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim_start_matches([' ', '└', '─']).strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("{case}: no {name}"));
        line.trim_start_matches(':')
            .trim()
            .trim_end_matches(" bytes")
            .to_owned()
    };
    let header = file.header();
    assert_eq!(
        header.position.to_string(),
        field("Header at file offset"),
        "{case}"
    );
    assert_eq!(
        header.version.to_string(),
        field("file format version"),
        "{case}"
    );
    assert_eq!(header.info.high.to_string(), field("update_seq"), "{case}");
    assert_eq!(header.info.purge.to_string(), field("purge_seq"), "{case}");
    assert_eq!(header.info.items.to_string(), field("doc count"), "{case}");
    assert_eq!(
        header.info.deleted.to_string(),
        field("deleted doc count"),
        "{case}"
    );
    if header.version >= 13 {
        assert_eq!(header.timestamp.to_string(), field("timestamp"), "{case}");
    }
    for (bytes, name) in [
        (header.by_id_bytes, "by-id tree"),
        (header.by_seqno_bytes, "by-seqno tree"),
        (header.local_bytes, "local size"),
    ] {
        // The tool rounds sizes of a kilobyte and more.
        if field(name).parse::<u64>().is_ok() {
            assert_eq!(bytes.to_string(), field(name), "{case}");
        }
    }
}

/// Compares everything of a file with the vendor's dumps of it.
pub(crate) fn check(case: &str) {
    let file = open(case).unwrap_or_else(|error| panic!("{case}: {error}"));
    check_header(case, &file);
    check_file(case, &file);
}

/// Compares every row, item and local document, by each of the three trees.
pub(crate) fn check_file(case: &str, file: &CouchFile) {
    let rows = dump(case, "byseq");
    let infos: Vec<DocInfo> = file
        .doc_infos(Seqno(0))
        .expect("rows")
        .map(|row| row.expect("readable"))
        .collect();
    let slice = file
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!(
        (rows.len(), rows.len()),
        (infos.len(), slice.items.len()),
        "{case}"
    );
    for ((row, info), item) in rows.iter().zip(&infos).zip(&slice.items) {
        check_row(case, row, info);
        assert_eq!(
            info.is_compressed(),
            row["snappy"].as_bool().unwrap_or(false),
            "{case} {row}"
        );
        check_item(case, row, item);
        let namespace = item.operation.namespace().expect("stored");
        assert_eq!(
            file.get(namespace, &item.key).expect("readable").as_ref(),
            Some(item),
            "{case}"
        );
        assert_eq!(
            file.doc_info(&info.id).expect("readable").as_ref(),
            Some(info),
            "{case}"
        );
    }
    assert_eq!(
        file.get(Namespace::Committed, &Key::new(b"no such key"))
            .expect("readable"),
        None
    );
    assert_eq!(leaf_entries(file, Tree::BySeqno), rows.len(), "{case}");
    check_by_id(case, file);
    check_locals(case, file);
}

fn leaf_entries(file: &CouchFile, tree: Tree) -> usize {
    let nodes = file.shape(tree).expect("readable");
    nodes
        .iter()
        .filter(|node| node.leaf)
        .map(|node| node.entries)
        .sum()
}

/// Returns a key as the by-id index stores it.
fn stored_key(id: &str) -> Vec<u8> {
    let (namespace, key) = key(id);
    let prefix: &[u8] = if namespace == Namespace::Prepared {
        &[2]
    } else {
        &[]
    };
    [prefix, key.encoded()].concat()
}

pub(crate) fn check_by_id(case: &str, file: &CouchFile) {
    let rows = dump(case, "byid");
    assert_eq!(leaf_entries(file, Tree::ById), rows.len(), "{case}");
    let mut last = Vec::new();
    for row in &rows {
        let id = stored_key(row["id"].as_str().expect("an id"));
        assert!(id > last, "{case}: the dump is in the tree's order");
        let info = file
            .doc_info(&id)
            .expect("readable")
            .unwrap_or_else(|| panic!("{case}: no {row}"));
        check_row(case, row, &info);
        assert_eq!(info.rev_seqno, number(row, "rev"), "{case} {row}");
        assert_eq!(info.deleted, !row["deleted"].is_null(), "{case} {row}");
        assert_eq!(
            info.rev_meta[..8],
            row["cas"]
                .as_str()
                .expect("text")
                .parse::<u64>()
                .expect("a number")
                .to_be_bytes()
        );
        last = id;
    }
}

/// Compares local documents with the dump: all names, and the values that it prints unchanged.
pub(crate) fn check_locals(case: &str, file: &CouchFile) {
    let (shown, locals) = (dump(case, "local"), file.local_docs().expect("readable"));
    assert_eq!(shown.len(), locals.len(), "{case}");
    for (row, (name, value)) in shown.iter().zip(&locals) {
        assert_eq!(
            row["id"].as_str().map(str::as_bytes),
            Some(&name[..]),
            "{case}"
        );
        if name.starts_with(b"|") {
            let mut left = &value[..];
            let stats =
                ["item_count", "high_seqno", "disk_size"].map(|field| (field, leb128(&mut left)));
            assert!(left.is_empty(), "{case}");
            assert!(
                stats
                    .iter()
                    .all(|&(field, value)| number(&row["value"], field) == value),
                "{case}"
            );
        } else if &name[..] == b"_local/vbstate" {
            assert_eq!(
                serde_json::from_slice::<Value>(value).expect("JSON"),
                row["value"],
                "{case}"
            );
        }
    }
    let Some(log) = operations(case) else { return };
    for (name, value) in locals {
        let of_name = |line: &&Value| line["key"] == hex(&name);
        let set = log
            .iter()
            .rev()
            .find(of_name)
            .unwrap_or_else(|| panic!("{case}: {name:?} was set"));
        assert_eq!(set["value"], hex(&value), "{case}");
    }
}

fn leb128(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first().expect("a number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the operations that set local documents of a case, or of the case it was made from.
fn operations(case: &str) -> Option<Vec<Value>> {
    let made_from = ["d_rich", "e_base", "h_boundary", "b_ten"]
        .into_iter()
        .find(|name| case.ends_with(name))?;
    let text = fs::read_to_string(fixture(&format!("{made_from}.ops.jsonl"))).expect("fixture");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    Some(lines.filter(|line| !line["key"].is_null()).collect())
}
