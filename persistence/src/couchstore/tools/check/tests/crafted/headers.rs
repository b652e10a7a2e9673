//! Wrong headers and vBucket states.

use crate::couchstore::tests::craft::{Craft, SOUND, STATE};
use crate::couchstore::tools::FindingKind;

use super::finds;

#[test]
fn state_is_verified() {
    finds(
        Craft {
            state: b"{",
            ..SOUND
        },
        &[FindingKind::State],
    );
    let with = |more: &str| {
        let state = String::from_utf8_lossy(STATE);
        format!("{{{more},{}", &state[1..]).into_bytes()
    };
    let state = with(r#""snap_start":"5","snap_end":"4""#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::State],
    );
    let state = with(r#""max_visible_seqno":"7""#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::State],
    );
    let state = with(r#""on_disk_prepares":"1","on_disk_prepare_bytes":"1""#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::Prepares],
    );
    let state = with(r#""namespaces_supported":false"#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::Namespaces],
    );
}

#[test]
fn headers_before_are_verified() {
    finds(
        Craft {
            header: &|header| header.purge_seq = 7,
            ..SOUND
        },
        &[FindingKind::PurgeSeqno],
    );
    finds(
        Craft {
            header: &|header| header.previous = 4096,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
    finds(
        Craft {
            header: &|header| header.previous = 77,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
    finds(
        Craft {
            first_header: &|header| header.update_seq = 7,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
    finds(
        Craft {
            first_header: &|header| header.version = 13,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
}
