//! `_local/vbstate`: a vBucket's state as JSON, under the vendor's names.
//!
//! Keys are sorted. Numbers are strings, except the version and those of the failover table. The
//! high seqno and the purge seqno are in the header instead.

use lowtide_checkpoint::{
    Cas, FailoverEntry, FailoverLog, Seqno, SnapshotType, State, VBucketState, VbUuid,
};
use serde::{Deserialize, Serialize};

use super::document::is_prepared;
use super::document_info::DocInfo;

/// Name of the local document.
pub(crate) const NAME: &[u8] = b"_local/vbstate";
/// Name and version of the writer.
const BUILD: &str = concat!("lowtide-", env!("CARGO_PKG_VERSION"));
const VERSION: u64 = 4;
/// "No CAS is from the hybrid logical clock yet."
const NO_HLC_EPOCH: &str = "-1";

/// Figures that are stored with a state and known only to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreFigures {
    /// Pending prepares in the file.
    pub(crate) prepares: u64,
    /// Size of their bodies on disk.
    pub(crate) prepare_bytes: u64,
    /// Whether any value has had extended attributes.
    pub(crate) xattrs: bool,
}

impl StoreFigures {
    /// Adds a row of an index, if it is a pending prepare.
    pub(crate) fn count_prepare(&mut self, info: &DocInfo) {
        if is_pending(info) {
            self.prepares = self.prepares.saturating_add(1);
            self.prepare_bytes = self.prepare_bytes.saturating_add(info.physical_bytes);
        }
    }

    /// Takes off a row that has left the indexes, if it was a pending prepare.
    pub(crate) fn uncount_prepare(&mut self, info: &DocInfo) {
        if is_pending(info) {
            self.prepares = self.prepares.saturating_sub(1);
            self.prepare_bytes = self.prepare_bytes.saturating_sub(info.physical_bytes);
        }
    }
}

/// Returns whether a row is a prepare that waits to be committed. An aborted prepare is a
/// tombstone.
fn is_pending(info: &DocInfo) -> bool {
    !info.deleted && is_prepared(&info.id)
}

// serde writes fields in the order of their declaration, and the vendor sorts them by name.
#[derive(Serialize, Deserialize)]
struct Json {
    #[serde(default)]
    build: String,
    #[serde(default)]
    checkpoint_type: Option<String>,
    #[serde(default)]
    completed_seqno: Option<String>,
    failover_table: Vec<JsonBranch>,
    #[serde(default)]
    high_prepared_seqno: Option<String>,
    #[serde(default)]
    hlc_epoch: Option<String>,
    max_cas: String,
    #[serde(default)]
    max_deleted_seqno: Option<String>,
    #[serde(default)]
    max_visible_seqno: Option<String>,
    #[serde(default)]
    might_contain_xattrs: bool,
    #[serde(default)]
    namespaces_supported: bool,
    #[serde(default)]
    on_disk_prepare_bytes: Option<String>,
    #[serde(default)]
    on_disk_prepares: Option<String>,
    #[serde(default)]
    prepared_seqno: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replication_topology: Option<Vec<Vec<Option<String>>>>,
    #[serde(default)]
    snap_end: Option<String>,
    #[serde(default)]
    snap_start: Option<String>,
    state: String,
    #[serde(default)]
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct JsonBranch {
    id: u64,
    seq: u64,
}

/// Encodes a state.
pub(crate) fn encode(
    state: &VBucketState,
    figures: &StoreFigures,
) -> Result<Vec<u8>, serde_json::Error> {
    let text = |number: u64| Some(number.to_string());
    let chains = state.replication_topology.iter().map(|chain| {
        // An unnamed node is one that the cluster has not found yet.
        chain
            .iter()
            .map(|node| (!node.is_empty()).then(|| node.clone()))
            .collect()
    });
    serde_json::to_vec(&Json {
        build: BUILD.to_owned(),
        checkpoint_type: Some(type_name(state.snapshot_type).to_owned()),
        completed_seqno: text(state.high_completed_seqno.0),
        failover_table: state
            .failover_log
            .entries()
            .iter()
            .map(|entry| JsonBranch {
                id: entry.uuid.0,
                seq: entry.seqno.0,
            })
            .collect(),
        high_prepared_seqno: text(state.high_prepared_seqno.0),
        hlc_epoch: match state.hlc_epoch {
            Seqno::MAX => Some(NO_HLC_EPOCH.to_owned()),
            epoch => text(epoch.0),
        },
        max_cas: state.max_cas.to_string(),
        max_deleted_seqno: text(state.max_deleted_rev_seqno),
        max_visible_seqno: text(state.max_visible_seqno.0),
        might_contain_xattrs: figures.xattrs,
        namespaces_supported: true,
        on_disk_prepare_bytes: text(figures.prepare_bytes),
        on_disk_prepares: text(figures.prepares),
        prepared_seqno: text(state.prepared_seqno.0),
        replication_topology: (!state.replication_topology.is_empty()).then(|| chains.collect()),
        snap_end: text(state.snapshot_end.0),
        snap_start: text(state.snapshot_start.0),
        state: state.state.name().to_owned(),
        version: VERSION,
    })
}

/// Decodes a state. Fields that older releases did not write get their neutral value.
///
/// # Errors
/// The flaw, in words.
pub(crate) fn decode(document: &[u8]) -> Result<(VBucketState, StoreFigures), String> {
    let json: Json = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let number = |name: &str, text: &Option<String>| match text {
        None => Ok(0),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| format!("{name} is not a number: {text}")),
    };
    let entries = json.failover_table.iter();
    let entries = entries.map(|branch| FailoverEntry {
        uuid: VbUuid(branch.id),
        seqno: Seqno(branch.seq),
    });
    let failover_log =
        FailoverLog::from_entries(entries.collect()).map_err(|error| error.to_string())?;
    let state =
        State::from_name(&json.state).ok_or_else(|| format!("unknown state {}", json.state))?;
    let chains = json.replication_topology.unwrap_or_default().into_iter();
    let state = VBucketState {
        snapshot_start: Seqno(number("snap_start", &json.snap_start)?),
        snapshot_end: Seqno(number("snap_end", &json.snap_end)?),
        snapshot_type: type_from_name(json.checkpoint_type.as_deref())?,
        max_visible_seqno: Seqno(number("max_visible_seqno", &json.max_visible_seqno)?),
        high_completed_seqno: Seqno(number("completed_seqno", &json.completed_seqno)?),
        high_prepared_seqno: Seqno(number("high_prepared_seqno", &json.high_prepared_seqno)?),
        prepared_seqno: Seqno(number("prepared_seqno", &json.prepared_seqno)?),
        max_cas: Cas(number("max_cas", &Some(json.max_cas))?),
        hlc_epoch: match json.hlc_epoch.as_deref() {
            Some(text) if text.starts_with('-') => Seqno::MAX,
            _ => Seqno(number("hlc_epoch", &json.hlc_epoch)?),
        },
        max_deleted_rev_seqno: number("max_deleted_seqno", &json.max_deleted_seqno)?,
        replication_topology: chains
            .map(|chain| chain.into_iter().map(Option::unwrap_or_default).collect())
            .collect(),
        ..VBucketState::new(state, failover_log)
    };
    let figures = StoreFigures {
        prepares: number("on_disk_prepares", &json.on_disk_prepares)?,
        prepare_bytes: number("on_disk_prepare_bytes", &json.on_disk_prepare_bytes)?,
        xattrs: json.might_contain_xattrs,
    };
    Ok((state, figures))
}

/// Returns whether a document says that stored keys carry no collection prefix, as before release
/// 7.
pub(crate) fn lacks_namespaces(document: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Flag {
        namespaces_supported: Option<bool>,
    }
    serde_json::from_slice(document)
        .is_ok_and(|flag: Flag| flag.namespaces_supported == Some(false))
}

const fn type_name(snapshot_type: SnapshotType) -> &'static str {
    match snapshot_type {
        SnapshotType::Memory => "Memory",
        SnapshotType::Disk => "Disk",
        SnapshotType::InitialDisk => "InitialDisk",
    }
}

fn type_from_name(name: Option<&str>) -> Result<SnapshotType, String> {
    match name {
        None | Some("Memory") => Ok(SnapshotType::Memory),
        Some("Disk") => Ok(SnapshotType::Disk),
        Some("InitialDisk") => Ok(SnapshotType::InitialDisk),
        Some(other) => Err(format!("unknown checkpoint type {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> VBucketState {
        VBucketState {
            snapshot_start: Seqno(10),
            snapshot_end: Seqno(20),
            snapshot_type: SnapshotType::InitialDisk,
            max_visible_seqno: Seqno(19),
            high_completed_seqno: Seqno(3),
            high_prepared_seqno: Seqno(14),
            prepared_seqno: Seqno(15),
            max_cas: Cas(1_700_000_000_000_000_000),
            hlc_epoch: Seqno(1),
            max_deleted_rev_seqno: 17,
            replication_topology: vec![vec!["n_0".to_owned(), "n_1".to_owned(), String::new()]],
            ..VBucketState::new(
                State::Replica,
                FailoverLog::new(VbUuid(223_141_296_423_145)),
            )
        }
    }

    #[test]
    fn state_document_has_the_vendors_names() {
        let figures = StoreFigures {
            prepares: 1,
            prepare_bytes: 24,
            xattrs: true,
        };
        let document = encode(&state(), &figures).expect("plain data");
        let expected = concat!(
            r#"{"build":"lowtide-0.1.0","checkpoint_type":"InitialDisk","completed_seqno":"3","#,
            r#""failover_table":[{"id":223141296423145,"seq":0}],"high_prepared_seqno":"14","hlc_epoch":"1","#,
            r#""max_cas":"1700000000000000000","max_deleted_seqno":"17","max_visible_seqno":"19","#,
            r#""might_contain_xattrs":true,"namespaces_supported":true,"on_disk_prepare_bytes":"24","#,
            r#""on_disk_prepares":"1","prepared_seqno":"15","replication_topology":[["n_0","n_1",null]],"#,
            r#""snap_end":"20","snap_start":"10","state":"replica","version":4}"#,
        );
        assert_eq!(String::from_utf8(document.clone()).expect("JSON"), expected);
        assert_eq!(decode(&document), Ok((state(), figures)));
    }

    #[test]
    fn neutral_state_round_trips() {
        let mut state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
        state.hlc_epoch = Seqno::MAX;
        let document = encode(&state, &StoreFigures::default()).expect("plain data");
        assert!(String::from_utf8_lossy(&document).contains(r#""hlc_epoch":"-1""#));
        assert_eq!(decode(&document), Ok((state, StoreFigures::default())));
    }

    #[test]
    fn state_of_an_older_release_decodes_to_neutral_values() {
        let document = br#"{"failover_table":[{"id":7,"seq":0}],"max_cas":"5","state":"dead"}"#;
        let (state, _) = decode(document).expect("enough");
        assert_eq!(
            (state.state, state.max_cas, state.snapshot_end),
            (State::Dead, Cas(5), Seqno::ZERO)
        );
    }

    #[test]
    fn malformed_state_is_refused() {
        for bad in [
            &b"{}"[..],
            br#"{"failover_table":[],"max_cas":"5","state":"active"}"#,
            br#"{"failover_table":[{"id":7,"seq":0}],"max_cas":"x","state":"active"}"#,
            br#"{"failover_table":[{"id":7,"seq":0}],"max_cas":"5","state":"gone"}"#,
        ] {
            assert!(decode(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
