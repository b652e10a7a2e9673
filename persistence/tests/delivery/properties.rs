//! Properties of any event and of any bytes.

use lowtide_checkpoint::Vbid;
use lowtide_persistence::{DeliveryError, FollowerEvent};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::drawn::{event, items};

fn same(one: &FollowerEvent, other: &FollowerEvent) -> bool {
    use FollowerEvent as E;
    match (one, other) {
        (E::Branches(a), E::Branches(b)) => a == b,
        (E::Snapshot(a), E::Snapshot(b)) => a == b,
        (E::Items(a), E::Items(b)) => {
            a.are_from_disk() == b.are_from_disk() && a.iter().eq(b.iter())
        }
        (E::SnapshotEnd(a), E::SnapshotEnd(b)) => a == b,
        (E::RolledBack { to: a }, E::RolledBack { to: b }) => a == b,
        (E::StateChanged(a), E::StateChanged(b)) | (E::Ended(a), E::Ended(b)) => a == b,
        _ => false,
    }
}

proptest! {
    /// Guards S39.
    #[test]
    fn event_survives_the_round_trip(event in event(), vb in any::<u16>()) {
        let message = event.to_bytes();
        let decoded = FollowerEvent::from_bytes(&message).expect("an event");
        prop_assert!(same(&event, &decoded), "{event:?}, not {decoded:?}");

        let mut stream = Vec::new();
        event.write_to(Vbid(vb), &mut stream).expect("memory takes it");
        let mut rest = &stream[..];
        let read = FollowerEvent::read_from(&mut rest, FollowerEvent::MESSAGE_BYTES_MAX).expect("an event");
        match read {
            Some((read_vb, read)) => {
                prop_assert_eq!(read_vb, Vbid(vb));
                prop_assert!(same(&event, &read));
            }
            // Nothing is written of no items.
            None => prop_assert!(stream.is_empty()),
        }
        prop_assert!(rest.is_empty());
    }

    /// Guards S39: no changed, cut or longer message is another event, and no limit is exceeded.
    #[test]
    fn changed_bytes_are_refused(event in event(), place in any::<u16>(), bit in 0..8_u8) {
        let message = event.to_bytes();
        let place = usize::from(place) % message.len();
        let mut changed = message.clone();
        changed[place] ^= 1 << bit;
        prop_assert!(FollowerEvent::from_bytes(&changed).is_err());
        prop_assert!(FollowerEvent::from_bytes(&message[..place]).is_err());
        prop_assert!(FollowerEvent::from_bytes(&[&message[..], &[0]].concat()).is_err());

        let mut stream = Vec::new();
        event.write_to(Vbid(3), &mut stream).expect("memory takes it");
        if let Some(last) = stream.len().checked_sub(1) {
            let place = 1 + place % last;
            let cut = FollowerEvent::read_from(&mut &stream[..place], u32::MAX);
            prop_assert!(matches!(cut, Err(DeliveryError::Stream(_))));
            stream[place] ^= 1 << bit;
            prop_assert!(FollowerEvent::read_from(&mut &stream[..], u32::MAX).is_err());
        }
    }

    /// Guards S39: bytes with a right checksum are an event, exactly as it is encoded, or refused.
    #[test]
    fn any_bytes_are_an_event_or_refused(
        tag in 0..9_u8,
        body in vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..150),
    ) {
        let mut message = [&[1, tag], &body[..]].concat();
        let checksum = crc32c::crc32c(&message);
        message.extend_from_slice(&checksum.to_be_bytes());
        if let Ok(event) = FollowerEvent::from_bytes(&message) {
            prop_assert_eq!(event.to_bytes(), message);
        }
        let _refused = FollowerEvent::from_bytes(&body).is_err();
        let _refused = FollowerEvent::read_from(&mut &body[..], 100).is_err();
    }

    /// Guards S39, with items that are changed before their checksum is made.
    #[test]
    fn damaged_items_are_items_or_refused(items in items(), place in any::<u16>(), byte in any::<u8>()) {
        let mut message = FollowerEvent::Items(items).to_bytes();
        let checked = message.len() - 4;
        message.truncate(checked);
        let place = 2 + usize::from(place) % (checked - 2);
        message[place] = byte;
        let checksum = crc32c::crc32c(&message);
        message.extend_from_slice(&checksum.to_be_bytes());
        if let Ok(event) = FollowerEvent::from_bytes(&message) {
            prop_assert_eq!(event.to_bytes(), message);
        }
    }
}
