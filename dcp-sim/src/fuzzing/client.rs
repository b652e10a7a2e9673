//! Checks of a client: the guarantees of the protocol, verified as messages arrive.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::wire::{Command, Request, StreamId};

/// Client that verifies the guarantees of the protocol.
#[derive(Default)]
pub(super) struct Client {
    streams: BTreeMap<(Vbid, Option<StreamId>), Snapshot>,
}

/// Snapshot that a stream is in.
struct Snapshot {
    start: Seqno,
    end: Seqno,
    last: Option<Seqno>,
}

impl Client {
    pub(super) fn take(&mut self, request: &Request) {
        let stream = (request.vb, request.stream_id);
        match &request.command {
            Command::SnapshotMarker(marker) => {
                assert!(marker.start <= marker.end, "{marker:?}");
                self.streams.insert(
                    stream,
                    Snapshot {
                        start: marker.start,
                        end: marker.end,
                        last: None,
                    },
                );
            }
            Command::StreamEnd(_) => {
                self.streams.remove(&stream);
            }
            command => {
                let Some(seqno) = command.seqno() else { return };
                let range = self.streams.get_mut(&stream);
                assert!(range.is_some(), "{command:?} came without a marker");
                let Some(Snapshot { start, end, last }) = range else {
                    return;
                };
                assert!(
                    (*start..=*end).contains(&seqno),
                    "{command:?} is outside {start}-{end}"
                );
                assert!(
                    last.is_none_or(|last| last < seqno),
                    "{command:?} came after {last:?}"
                );
                *last = Some(seqno);
            }
        }
    }
}
