//! Words for messages, statuses and flags.

use crate::script::worlds::print;
use crate::wire::{Command, KeyForm, MarkerFlags, Request, Status};

/// Formats a message without its sender; `None` for a message that no stream sends.
pub(super) fn message(request: &Request, keys: KeyForm) -> Option<String> {
    Some(match &request.command {
        Command::SnapshotMarker(marker) => {
            format!(
                "snapshot {}-{} {}",
                marker.start,
                marker.end,
                flags(marker.flags)
            )
        }
        Command::StreamEnd(reason) => format!("stream-end {}", reason.name()),
        Command::SeqnoAdvanced(seqno) => format!("seqno-advanced @{seqno}"),
        Command::SetVBucketState(state) => format!("set-vbucket-state {state}"),
        _ => print::item(&request.to_item(keys).ok()?),
    })
}

fn flags(flags: MarkerFlags) -> String {
    let names = [
        (MarkerFlags::MEMORY, "memory"),
        (MarkerFlags::DISK, "disk"),
        (MarkerFlags::CHECKPOINT, "checkpoint"),
        (MarkerFlags::ACK, "ack"),
        (MarkerFlags::HISTORY, "history"),
        (MarkerFlags::MAY_DUPLICATE_KEYS, "may-duplicate-keys"),
    ];
    let set: Vec<_> = names
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, name)| *name)
        .collect();
    set.join(",")
}

/// Returns the protocol's name of a status, in lower case.
pub(super) fn status(status: Status) -> String {
    let name = match status {
        Status::NOT_FOUND => "key-enoent",
        Status::EXISTS => "key-eexists",
        Status::INVALID => "einval",
        Status::NOT_MY_VBUCKET => "not-my-vbucket",
        Status::STREAM_NOT_FOUND => "dcp-stream-not-found",
        Status::OPAQUE_MISMATCH => "opaque-no-match",
        Status::RANGE => "erange",
        Status::ACCESS => "eaccess",
        Status::UNKNOWN_COMMAND => "unknown-command",
        Status::OUT_OF_MEMORY => "enomem",
        Status::NOT_SUPPORTED => "not-supported",
        Status::TEMPORARY_FAILURE => "etmpfail",
        Status::UNKNOWN_COLLECTION => "unknown-collection",
        Status::UNKNOWN_SCOPE => "unknown-scope",
        Status::STREAM_ID_INVALID => "dcp-streamid-invalid",
        Status(code) => return format!("{code:#04x}"),
    };
    name.to_owned()
}
