use bytes::Bytes;
use lowtide_checkpoint::{Cas, Datatype, Item, Key, Operation, Seqno};
use proptest::prelude::*;

use super::layout::{LEVELS, OPERATIONS};
use super::{RecordView, decode_item, encode_item, encode_state_record, is_tombstone};

fn items() -> impl Strategy<Value = Item> {
    let numbers = (
        any::<u64>(),
        any::<u64>(),
        prop_oneof![0..4_u64, any::<u64>()],
        any::<u32>(),
        any::<u32>(),
    );
    let small = (
        0..OPERATIONS.len(),
        any::<u8>(),
        any::<bool>(),
        any::<bool>(),
        0..=LEVELS.len(),
    );
    let body = (
        prop::collection::vec(any::<u8>(), 0..40),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        prop_oneof![Just(0), any::<u64>()],
    );
    (numbers, small, body).prop_map(
        |((seqno, cas, rev, flags, expiry), small, (key, value, prepare))| {
            let (operation, datatype, deleted, history, level) = small;
            Item {
                seqno: Seqno(seqno),
                cas: Cas(cas),
                rev_seqno: rev,
                flags: if flags % 3 == 0 { 0 } else { flags },
                expiry: if expiry % 3 == 0 { 0 } else { expiry },
                datatype: Datatype(datatype),
                deleted,
                history,
                durability: LEVELS.get(level).copied(),
                prepare_seqno: Seqno(prepare),
                value: value.map(Bytes::from),
                ..Item::new(
                    OPERATIONS[operation].0,
                    Key::in_collection(u32::from(datatype), &key),
                )
            }
        },
    )
}

proptest! {
    #[test]
    fn item_is_decoded_as_it_was_encoded_and_every_changed_bit_is_detected(item in items(), epoch: u32) {
        let mut bytes = vec![1, 2, 3];
        let len = encode_item(&mut bytes, epoch, &item).expect("stored") as usize;
        let record = Bytes::from(bytes.split_off(3));
        prop_assert_eq!(record.len(), len);
        let seen = RecordView::verified(&record).expect("sound");
        prop_assert_eq!((seen.seqno, seen.epoch, seen.len as usize), (item.seqno.0, epoch, len));
        prop_assert_eq!(seen.operation, Some(item.operation));
        prop_assert_eq!(seen.tombstone, is_tombstone(item.operation, item.deleted));
        prop_assert_eq!(decode_item(&record), Some(item));
        for bit in 0..len * 8 {
            let mut damaged = record.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(RecordView::verified(&damaged).is_none(), "bit {}", bit);
        }
        for short in 0..len {
            prop_assert!(RecordView::verified(&record[..short]).is_none());
        }
    }
}

#[test]
fn plain_record_has_33_bytes_besides_key_and_value() {
    let mut bytes = Vec::new();
    let item = Item::mutation(Key::new(&[b'k'; 19]), Bytes::from(vec![0; 256]));
    assert_eq!(encode_item(&mut bytes, 1, &item), Some(33 + 20 + 256));
    assert_eq!(bytes.len(), 309);
}

#[test]
fn state_is_a_record_without_a_key() {
    let mut bytes = Vec::new();
    let len = encode_state_record(&mut bytes, 7, Seqno(9), 3, b"state");
    let seen = RecordView::verified(&bytes).expect("sound");
    assert_eq!(
        (seen.operation, seen.seqno, seen.cas, seen.epoch, seen.len),
        (None, 9, 3, 7, len)
    );
    assert_eq!((seen.key, seen.value), (&b""[..], &b"state"[..]));
    assert_eq!(decode_item(&bytes.into()), None);
}

#[test]
fn states_of_a_vbucket_are_no_items() {
    let item = Item::new(
        Operation::SetVBucketState(lowtide_checkpoint::State::Dead),
        Key::new(b""),
    );
    assert_eq!(encode_item(&mut Vec::new(), 1, &item), None);
}

#[test]
fn record_with_an_unknown_durability_level_is_no_item() {
    let mut bytes = Vec::new();
    encode_item(
        &mut bytes,
        1,
        &Item::mutation(Key::new(b"key"), Bytes::new()),
    )
    .expect("stored");
    bytes[30] |= 15 << 4;
    let crc = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_be_bytes());
    assert!(RecordView::verified(&bytes).is_some());
    assert_eq!(decode_item(&bytes.into()), None);
}
