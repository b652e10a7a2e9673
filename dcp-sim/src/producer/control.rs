//! The options a consumer sets on its connection.

use crate::producer::FlowControl;
use crate::wire::{Control, DeletionForm, ItemFormat, KeyForm, Status};

/// What was negotiated. The default is what a consumer gets that negotiates nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// Markers in form 2.2, which says more.
    pub(super) marker_v2_2: bool,
    /// A stream the consumer closes ends with a message.
    pub(super) end_on_close: bool,
    expirations: bool,
}

impl Options {
    /// Sets one; unknown ones are refused, which consumers must expect.
    pub(super) fn set(&mut self, control: &Control, flow: &mut FlowControl) -> Status {
        let value = std::str::from_utf8(&control.value).unwrap_or_default();
        match (&control.key[..], value) {
            (b"connection_buffer_size", bytes) => match bytes.parse() {
                Ok(bytes) => flow.set_buffer(bytes),
                Err(_) => return Status::INVALID,
            },
            (b"max_marker_version", "2.2") => self.marker_v2_2 = true,
            (b"enable_expiry_opcode", "true" | "false") => self.expirations = value == "true",
            (b"send_stream_end_on_client_close_stream", "true" | "false") => {
                self.end_on_close = value == "true"
            }
            _ => return Status::INVALID,
        }
        Status::SUCCESS
    }

    /// How items go to this consumer. Connections between our nodes have Collections.
    pub(super) fn item_format(&self) -> ItemFormat {
        ItemFormat {
            keys: KeyForm::Collections,
            deletions: DeletionForm::V2WithTime,
            expirations: self.expirations,
        }
    }
}
