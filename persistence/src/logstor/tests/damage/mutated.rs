//! Stores with flipped bits, exchanged blocks and files cut short, with checksums put right or not
//! (L34). Opening one ends in a store or a typed error. `fuzzing` holds the checks; inputs that a
//! fuzzer found are here by name.

use proptest::prelude::*;

use crate::logstor::fuzzing;

/// Found by libFuzzer. A vBucket without its state began again at seqno 1, and its old records won
/// over the ones acknowledged then.
#[test]
fn vbucket_that_lost_its_state_takes_nothing() {
    let changes = [
        [0x06, 0xbb, 0x31, 0x06, 0x06, 0xae, 0x69, 0x02],
        [0x80, 0x06, 0x31, 0xbb, 0xff, 0x01, 0x06, 0xae],
        [0x69, 0x5b, 0x02, 0x00, 0x00, 0xae, 0xae, 0x01],
    ];
    fuzzing::store(&[&[0xff], changes.as_flattened()].concat());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_stores_end_in_a_store_or_a_typed_error(
        mode in 1_u8..4,
        changes in prop::collection::vec(prop::array::uniform8(any::<u8>()), 0..5),
    ) {
        let bytes: Vec<u8> = std::iter::once(mode).chain(changes.into_iter().flatten()).collect();
        fuzzing::store(&bytes);
    }

    #[test]
    fn any_bytes_are_a_store(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::store(&[&[0], &bytes[..]].concat());
    }

    #[test]
    fn any_bytes_are_a_frame_or_a_record(mut bytes in prop::collection::vec(any::<u8>(), 0..300), len in 36_u32..300) {
        fuzzing::frame(&bytes);
        fuzzing::frame(&[b"LTLG\x01\x01\0\0", &bytes[..]].concat());
        if let Some(place) = bytes.get_mut(4..8) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        fuzzing::record(&bytes);
        // A short key leaves bytes behind it.
        if let Some(place) = bytes.get_mut(28..30) {
            place.copy_from_slice(&[0, 9]);
        }
        fuzzing::record(&bytes);
    }
}
