//! Lines of a dump, as JSON.

use lowtide_checkpoint::{DurabilityLevel, Item, Operation};
use serde::Serialize;

/// Line of a document.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vb: Option<u16>,
    pub(super) seqno: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collection: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<&'static str>,
    pub(super) rev_seqno: u64,
    pub(super) cas: String,
    pub(super) flags: u32,
    pub(super) expiry: u32,
    pub(super) datatype: u8,
    pub(super) deleted: bool,
    #[serde(flatten)]
    pub(super) durable: Durable,
    #[serde(flatten)]
    pub(super) value: Value<'a>,
}

/// Fields of some revisions only: the source of a deletion, and the state of a durable write.
#[derive(Default, Serialize)]
pub(super) struct Durable {
    /// Source of a tombstone's deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_source: Option<&'static str>,
    /// Level of a prepare, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability_level: Option<&'static str>,
    /// `true` for a prepare whose commit deletes.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepare_is_delete: Option<bool>,
    /// Prepare of an abort, and of a commit that stores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepare_seqno: Option<u64>,
}

impl Durable {
    pub(super) fn new(item: &Item) -> Self {
        let prepare_seqno = Some(item.prepare_seqno.0).filter(|&seqno| seqno > 0);
        match item.operation {
            Operation::Prepare => Self {
                durability_level: item.durability.map(level),
                prepare_is_delete: Some(item.deleted),
                ..Self::default()
            },
            Operation::Abort => Self {
                prepare_seqno: Some(item.prepare_seqno.0),
                ..Self::default()
            },
            Operation::Expiration => Self {
                delete_source: Some("ttl"),
                ..Self::default()
            },
            Operation::Deletion => Self {
                delete_source: Some("explicit"),
                ..Self::default()
            },
            Operation::Commit => {
                let delete_source = item.deleted.then_some("explicit");
                Self {
                    delete_source,
                    prepare_seqno,
                    ..Self::default()
                }
            }
            _ => Self::default(),
        }
    }
}

/// Returns the level's name in the vendor's clients.
const fn level(level: DurabilityLevel) -> &'static str {
    match level {
        DurabilityLevel::Majority => "majority",
        DurabilityLevel::MajorityAndPersistOnMaster => "majorityAndPersistOnMaster",
        DurabilityLevel::PersistToMajority => "persistToMajority",
    }
}

/// Line of a local document.
#[derive(Serialize)]
pub(super) struct LocalLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vb: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id_hex: Option<String>,
    #[serde(flatten)]
    pub(super) value: Value<'a>,
}

/// Value of a line: text, bytes that are not UTF-8, or nothing.
#[derive(Serialize)]
pub(super) enum Value<'a> {
    #[serde(rename = "value")]
    Text(Option<&'a str>),
    #[serde(rename = "value_hex")]
    Bytes(String),
}
