//! Negotiated options of a connection: the flags of its open request, and the options set
//! afterwards.
//!
//! Each option gets the status that Couchbase's server returns.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/control.md`.
//!
//! # Invariants
//!
//! - A refused option changes nothing.
//! - Options exclude one another in any order.

use super::flow_control::FlowControl;
use crate::wire::{Control, DeletionForm, ItemFormat, KeyForm, OpenFlags, Status};

/// Shortest interval between no-operations, and the default interval.
const NOOP_NANOS_MIN: u64 = 100_000_000;
const NOOP_NANOS: u64 = 20_000_000_000;

/// Negotiated options. The default applies to a consumer that negotiates nothing.
#[derive(Clone, Debug)]
pub(in crate::producer) struct Options {
    /// Flags of the open request.
    pub(in crate::producer) flags: OpenFlags,
    /// The connection negotiated Collections.
    pub(in crate::producer) collections: bool,
    /// Markers have form 2.2, which has more fields.
    pub(in crate::producer) marker_v2_2: bool,
    /// A stream that the consumer closes ends with a message.
    pub(in crate::producer) end_on_close: bool,
    /// Prepares, commits and aborts are sent unchanged.
    pub(in crate::producer) sync_writes: bool,
    /// The consumer is a node of the cluster, not a client.
    pub(in crate::producer) is_replica_link: bool,
    /// Streams have ids.
    pub(in crate::producer) stream_ids: bool,
    /// Memory recovery may drop the cursors of a connection between nodes.
    pub(in crate::producer) cursor_dropping: bool,
    /// Statuses distinguish "no such stream" and "another stream's opaque" from other errors.
    pub(in crate::producer) v7_statuses: bool,
    /// No-operations are sent.
    pub(in crate::producer) noop: bool,
    /// Interval between no-operations.
    pub(in crate::producer) noop_nanos: u64,
    /// Deletions carry user attributes.
    pub(in crate::producer) deleted_user_xattrs: bool,
    /// The client wants its streams to read from disk one after the other.
    pub(in crate::producer) is_sequential: bool,
    expirations: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flags: OpenFlags::NONE,
            collections: true,
            marker_v2_2: false,
            end_on_close: false,
            sync_writes: false,
            is_replica_link: false,
            stream_ids: false,
            cursor_dropping: false,
            v7_statuses: false,
            noop: false,
            noop_nanos: NOOP_NANOS,
            deleted_user_xattrs: false,
            is_sequential: false,
            expirations: false,
        }
    }
}

impl Options {
    /// Creates the options for the flags of an open request. Returns `None` if the flags exclude
    /// one another.
    pub(in crate::producer) fn opened(flags: OpenFlags) -> Option<Self> {
        let has = |flag| flags.contains(flag);
        let is_sound = has(OpenFlags::PRODUCER)
            && !(has(OpenFlags::NO_VALUE) && has(OpenFlags::NO_VALUE_WITH_DATATYPE))
            && (!has(OpenFlags::INCLUDE_DELETED_USER_XATTRS) || has(OpenFlags::INCLUDE_XATTRS));
        is_sound.then(|| Self {
            flags,
            ..Self::default()
        })
    }

    /// Sets one option. Unknown ones are refused, which consumers must expect.
    pub(in crate::producer) fn set(&mut self, control: &Control, flow: &mut FlowControl) -> Status {
        // A value that is not text counts as empty.
        let value = std::str::from_utf8(&control.value).unwrap_or_default();
        match (&control.key[..], value) {
            (b"connection_buffer_size", bytes) => match bytes.parse() {
                Ok(bytes) => flow.set_buffer(bytes),
                Err(_) => return Status::INVALID,
            },
            // Any value other than `true` is false.
            (b"enable_noop", value) => self.noop = value == "true",
            (b"set_noop_interval", seconds) => match nanos(seconds) {
                Some(nanos) => self.noop_nanos = nanos,
                None => return Status::INVALID,
            },
            (b"max_marker_version", "2.2") if !self.collections => return Status::NOT_SUPPORTED,
            (b"max_marker_version", "2.2") => self.marker_v2_2 = true,
            (b"enable_expiry_opcode", "true" | "false") => self.expirations = value == "true",
            (b"send_stream_end_on_client_close_stream", "true" | "false") => {
                self.end_on_close = value == "true"
            }
            (
                b"supports_cursor_dropping" | b"supports_cursor_dropping_vulcan",
                "true" | "false",
            ) => {
                self.cursor_dropping = value == "true";
            }
            (b"backfill_order", "round-robin" | "sequential") => {
                self.is_sequential = value == "sequential"
            }
            (b"v7_dcp_status_codes", "true") => self.v7_statuses = true,
            (b"enable_sync_writes", "true") if self.stream_ids => return Status::NOT_SUPPORTED,
            (b"enable_sync_writes", "true") => self.sync_writes = true,
            (b"consumer_name", _) => self.is_replica_link = true,
            (b"enable_stream_id", "true") if self.sync_writes => return Status::NOT_SUPPORTED,
            (b"enable_stream_id", "true") => self.stream_ids = true,
            (b"include_deleted_user_xattrs", "true")
                if self.flags.contains(OpenFlags::INCLUDE_DELETED_USER_XATTRS) =>
            {
                self.deleted_user_xattrs = true;
            }
            // Permissions that this producer does not use, and a hint that it ignores.
            (b"enable_out_of_order_snapshots", "true" | "true_with_seqno_advanced")
            | (b"supports_hifi_MFU", "true")
            | (b"set_priority", "low" | "medium" | "high") => {}
            // No engine keeps history, nothing is cached, and system events have their fixed
            // layouts.
            (b"change_streams" | b"flatbuffers_system_events", "true") => {
                return Status::NOT_SUPPORTED;
            }
            (b"cache_transfer" | b"stream_buffer_size", _) => return Status::NOT_SUPPORTED,
            _ => return Status::INVALID,
        }
        Status::SUCCESS
    }

    /// Returns `true` if no-operations are required before a stream request: the client uses newer
    /// features than they are.
    pub(in crate::producer) fn needs_noop(&self) -> bool {
        self.collections || self.flags.contains(OpenFlags::INCLUDE_XATTRS)
    }

    /// Returns the format of items for this consumer.
    pub(in crate::producer) fn item_format(&self) -> ItemFormat {
        let has_times = self.flags.contains(OpenFlags::INCLUDE_DELETE_TIMES);
        ItemFormat {
            keys: if self.collections {
                KeyForm::Collections
            } else {
                KeyForm::Bare
            },
            deletions: match (has_times, self.collections) {
                (true, _) => DeletionForm::V2WithTime,
                (false, true) => DeletionForm::V2,
                (false, false) => DeletionForm::V1,
            },
            expirations: self.expirations && has_times,
        }
    }
}

/// Parses seconds, with decimals, to nanoseconds. Returns `None` for an invalid interval.
fn nanos(seconds: &str) -> Option<u64> {
    let seconds: f64 = seconds
        .parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite())?;
    let nanos = (seconds * 1e9).round();
    (nanos >= NOOP_NANOS_MIN as f64 && nanos < u64::MAX as f64).then_some(nanos as u64)
}
