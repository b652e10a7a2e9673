//! A vBucket's state as bytes, in a checked frame of [`record`].
//!
//! The high seqno is left out: the state's record in the log has it.

use lowtide_checkpoint::{
    Cas, FailoverEntry, FailoverLog, Seqno, SnapshotType, State, VBucketState, VbUuid,
};
use serde::{Deserialize, Serialize};

use crate::shared::record;

/// Bytes of the largest state: it must fit into every segment together with other records.
pub(in crate::logstor) const STATE_BYTES_MAX: usize = 32 << 10;

#[derive(Serialize, Deserialize)]
struct Stored {
    state: u8,
    branches: Vec<(u64, u64)>,
    snapshot: (u64, u64),
    snapshot_type: u8,
    max_visible_seqno: u64,
    high_completed_seqno: u64,
    high_prepared_seqno: u64,
    prepared_seqno: u64,
    max_cas: u64,
    hlc_epoch: u64,
    max_deleted_rev_seqno: u64,
    purge_seqno: u64,
    replication_topology: Vec<Vec<String>>,
}

const STATES: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];
const TYPES: [SnapshotType; 3] = [
    SnapshotType::Memory,
    SnapshotType::Disk,
    SnapshotType::InitialDisk,
];

/// Returns the place of a state in [`STATES`].
const fn state_code(state: State) -> u8 {
    match state {
        State::Active => 0,
        State::Replica => 1,
        State::Pending => 2,
        State::Dead => 3,
    }
}

/// Returns the place of a type in [`TYPES`].
const fn type_code(snapshot_type: SnapshotType) -> u8 {
    match snapshot_type {
        SnapshotType::Memory => 0,
        SnapshotType::Disk => 1,
        SnapshotType::InitialDisk => 2,
    }
}

/// Encodes a state; `None` if it is larger than [`STATE_BYTES_MAX`].
pub(in crate::logstor) fn encode_state(state: &VBucketState) -> Option<Vec<u8>> {
    let entries = state.failover_log.entries().iter();
    let stored = Stored {
        state: state_code(state.state),
        branches: entries.map(|entry| (entry.uuid.0, entry.seqno.0)).collect(),
        snapshot: (state.snapshot_start.0, state.snapshot_end.0),
        snapshot_type: type_code(state.snapshot_type),
        max_visible_seqno: state.max_visible_seqno.0,
        high_completed_seqno: state.high_completed_seqno.0,
        high_prepared_seqno: state.high_prepared_seqno.0,
        prepared_seqno: state.prepared_seqno.0,
        max_cas: state.max_cas.0,
        hlc_epoch: state.hlc_epoch.0,
        max_deleted_rev_seqno: state.max_deleted_rev_seqno,
        purge_seqno: state.purge_seqno.0,
        replication_topology: state.replication_topology.clone(),
    };
    record::encode(&stored, STATE_BYTES_MAX)
}

/// Decodes a state; `None` if the bytes are not a sound one.
pub(in crate::logstor) fn decode_state(bytes: &[u8]) -> Option<VBucketState> {
    let (stored, _) = record::decode::<Stored>(bytes, STATE_BYTES_MAX).ok()?;
    let entries = stored.branches.into_iter();
    let entries = entries.map(|(uuid, seqno)| FailoverEntry {
        uuid: VbUuid(uuid),
        seqno: Seqno(seqno),
    });
    let failover_log = FailoverLog::from_entries(entries.collect()).ok()?;
    let state = *STATES.get(usize::from(stored.state))?;
    Some(VBucketState {
        snapshot_start: Seqno(stored.snapshot.0),
        snapshot_end: Seqno(stored.snapshot.1),
        snapshot_type: *TYPES.get(usize::from(stored.snapshot_type))?,
        max_visible_seqno: Seqno(stored.max_visible_seqno),
        high_completed_seqno: Seqno(stored.high_completed_seqno),
        high_prepared_seqno: Seqno(stored.high_prepared_seqno),
        prepared_seqno: Seqno(stored.prepared_seqno),
        max_cas: Cas(stored.max_cas),
        hlc_epoch: Seqno(stored.hlc_epoch),
        max_deleted_rev_seqno: stored.max_deleted_rev_seqno,
        purge_seqno: Seqno(stored.purge_seqno),
        replication_topology: stored.replication_topology,
        ..VBucketState::new(state, failover_log)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_decoded_as_it_was_encoded() {
        let all = STATES
            .into_iter()
            .flat_map(|state| TYPES.map(|snapshot_type| (state, snapshot_type)));
        for (state, snapshot_type) in all {
            let state = VBucketState {
                snapshot_start: Seqno(10),
                snapshot_end: Seqno(20),
                snapshot_type,
                max_visible_seqno: Seqno(19),
                high_completed_seqno: Seqno(3),
                high_prepared_seqno: Seqno(14),
                prepared_seqno: Seqno(15),
                max_cas: Cas(1_700_000_000_000_000_000),
                hlc_epoch: Seqno::MAX,
                max_deleted_rev_seqno: 17,
                purge_seqno: Seqno(6),
                replication_topology: vec![vec!["n_0".to_owned(), String::new()]],
                ..VBucketState::new(state, FailoverLog::new(VbUuid(223_141_296_423_145)))
            };
            let bytes = encode_state(&state).expect("small");
            assert_eq!(decode_state(&bytes), Some(state));
            assert_eq!(decode_state(&bytes[1..]), None);
        }
    }

    #[test]
    fn state_that_is_too_large_is_refused() {
        let mut state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
        state.replication_topology = vec![vec!["n".repeat(STATE_BYTES_MAX)]];
        assert_eq!(encode_state(&state), None);
    }
}
