//! Options that a consumer requests before any stream, in the order of Couchbase's consumers.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/control.md`.
//!
//! # Invariants
//!
//! - An option that the producer does not know is optional. The answer says whether it was granted.

use bytes::Bytes;
use lowtide_checkpoint::Vbid;

use super::connection::Consumer;
use super::error::ConsumerError;
use super::options::ConsumerOptions;
use crate::wire::{Command, Control, Open, OpenFlags};

impl Consumer {
    pub(super) fn negotiate(
        &mut self,
        name: &str,
        options: &ConsumerOptions,
    ) -> Result<(), ConsumerError> {
        let open = Open {
            flags: OpenFlags::PRODUCER
                .with(OpenFlags::INCLUDE_XATTRS)
                .with(OpenFlags::INCLUDE_DELETE_TIMES)
                .with(OpenFlags::INCLUDE_DELETED_USER_XATTRS),
            name: Bytes::copy_from_slice(name.as_bytes()),
            options: Bytes::new(),
        };
        self.ask(Vbid(0), Command::Open(open))?;
        self.control("enable_noop", "true")?;
        self.control("set_noop_interval", &options.noop_seconds())?;
        self.control("set_priority", "high")?;
        self.control("supports_cursor_dropping_vulcan", "true")?;
        self.control("send_stream_end_on_client_close_stream", "true")?;
        self.control("enable_expiry_opcode", "true")?;
        self.granted.sync_writes_asked = self.control("enable_sync_writes", "true")?;
        self.control("consumer_name", name)?;
        self.control("include_deleted_user_xattrs", "true")?;
        self.granted.v7_statuses_asked = self.control("v7_dcp_status_codes", "true")?;
        self.control("max_marker_version", "2.2")?;
        self.control("connection_buffer_size", &options.buffer_bytes.to_string())?;
        Ok(())
    }

    fn control(&mut self, key: &str, value: &str) -> Result<u32, ConsumerError> {
        let [key, value] = [key, value].map(|text| Bytes::copy_from_slice(text.as_bytes()));
        self.ask(Vbid(0), Command::Control(Control { key, value }))
    }
}
