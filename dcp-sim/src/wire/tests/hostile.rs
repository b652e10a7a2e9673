//! Bytes that no well-behaved peer sends.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{encoded, frame, generate, hex};
use crate::wire::error::{Part, WireError};
use crate::wire::frame::Frame;
use crate::wire::item::KeyForm;
use crate::wire::message::Message;
use crate::wire::opcode::Opcode;

/// Decodes all frames in `bytes` and reads everything in them. Fails if anything panics.
fn look_at(bytes: Bytes) {
    let mut rest = bytes.clone();
    loop {
        let before = rest.len();
        match Frame::decode_bytes(&mut rest) {
            Ok(Some(frame)) => {
                assert_eq!(
                    before - rest.len(),
                    frame.encoded_bytes(),
                    "took what it said"
                );
                if let Ok(message) = Message::decode(&frame) {
                    assert_eq!(Message::decode(&message.to_frame()), Ok(message.clone()));
                    if let Message::Request(request) = message {
                        let _ = request.to_item(KeyForm::Collections);
                        let _ = request.to_item(KeyForm::Bare);
                    }
                }
            }
            Ok(None) | Err(_) => {
                assert_eq!(rest.len(), before, "took nothing");
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn decoder_given_arbitrary_bytes_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        look_at(bytes.into());
    }

    /// Same as `decoder_given_arbitrary_bytes_never_panics`, with a header that passes the checks of
    /// the frame.
    #[test]
    fn decoder_given_arbitrary_bodies_never_panics(
        magic in prop_oneof![Just(0x80), Just(0x81), Just(0x08), Just(0x18)],
        opcode in prop_oneof![0x50u8..=0x68, any::<u8>()],
        lengths in any::<[u8; 2]>(),
        extras in prop_oneof![Just(0u8), Just(1), Just(8), Just(13), Just(16), Just(20), Just(21), Just(31), any::<u8>()],
        rest in any::<[u8; 19]>(),
        body in vec(prop_oneof![0u8..5, any::<u8>()], 0..400),
    ) {
        let [framing, key] = lengths;
        let framing = if magic & 0x80 == 0 { framing % 8 } else { 0 };
        let mut bytes = vec![magic, opcode, framing, key % 16, extras];
        bytes.extend(rest);
        bytes[8..12].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        look_at(bytes.into());
    }

    #[test]
    fn decoder_given_a_changed_byte_never_panics(message in generate::message(), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = encoded(&message);
        let at = at.index(bytes.len());
        bytes[at] = to;
        look_at(bytes.into());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn truncated_frame_is_incomplete_and_takes_nothing(message in generate::message()) {
        let bytes = encoded(&message);
        for end in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..end]);
            prop_assert_eq!(&Frame::decode(&mut buffer), &Ok(None));
            prop_assert_eq!(buffer.len(), end, "nothing taken");
        }
    }

    /// Every layout has one length: a part that is one byte shorter or longer is another message or
    /// an error.
    #[test]
    fn part_of_another_length_never_decodes_to_the_same_message(message in generate::message()) {
        let good = message.to_frame();
        let cut = |part: &Bytes| part.slice(..part.len().saturating_sub(1));
        let grown = |part: &Bytes| Bytes::from([&part[..], &[0]].concat());
        for other in [
            Frame { extras: cut(&good.extras), ..good.clone() },
            Frame { extras: grown(&good.extras), ..good.clone() },
            Frame { key: cut(&good.key), ..good.clone() },
            Frame { key: grown(&good.key), ..good.clone() },
            Frame { value: cut(&good.value), ..good.clone() },
            Frame { value: grown(&good.value), ..good.clone() },
            Frame { framing: cut(&good.framing), ..good.clone() },
        ] {
            if other != good {
                prop_assert_ne!(&Message::decode(&other), &Ok(message.clone()), "{:?}", other);
            }
            if other.extras != good.extras {
                prop_assert!(Message::decode(&other).is_err(), "{:?}", other);
            }
        }
    }
}

#[test]
fn unknown_magic_is_refused_at_the_first_byte() {
    for magic in 0..=255u8 {
        let known = matches!(magic, 0x80 | 0x81 | 0x08 | 0x18);
        let expected = if known {
            Ok(None)
        } else {
            Err(WireError::UnknownMagic { magic })
        };
        assert_eq!(Frame::decode(&mut BytesMut::from(&[magic][..])), expected);
    }
}

#[test]
fn oversized_body_is_refused_at_the_header() {
    let header = |body: usize| {
        hex(&format!(
            "80 57 0000 00 00 0000 {body:08x} 00000000 0000000000000000"
        ))
    };
    let limit = Frame::BODY_BYTES_MAX;
    assert_eq!(
        Frame::decode(&mut BytesMut::from(&header(limit)[..])),
        Ok(None)
    );
    let size = limit + 1;
    let refused = WireError::TooLarge {
        opcode: Opcode::DCP_MUTATION,
        part: Part::Body,
        size,
        limit,
    };
    assert_eq!(
        Frame::decode(&mut BytesMut::from(&header(size)[..])),
        Err(refused.clone())
    );
    assert_eq!(refused.status(), None, "the connection must go");
}

#[test]
fn parts_longer_than_the_body_are_refused() {
    for header in [
        "80 57 0005 04 00 0000 00000008 00000000 0000000000000000",
        "08 57 03 05 04 00 0000 0000000b 00000000 0000000000000000",
        "81 57 ffff ff 00 0000 00000000 00000000 0000000000000000",
    ] {
        let refused = Frame::decode(&mut BytesMut::from(&hex(header)[..]));
        assert!(
            matches!(refused, Err(WireError::InconsistentLengths { .. })),
            "{header}: {refused:?}"
        );
    }
    let fits = "80 57 0005 04 00 0000 00000009 00000000 0000000000000000";
    assert_eq!(Frame::decode(&mut BytesMut::from(&hex(fits)[..])), Ok(None));
}

#[test]
fn part_over_its_length_field_is_not_encoded() {
    let good = frame(&hex(
        "80 5e 0001 00 00 0000 00000002 00000000 0000000000000000 61 62",
    ));
    let long = |size| Bytes::from(vec![0; size]);
    let framing = Bytes::from_static(&[0x22, 0, 1]);
    for bad in [
        Frame {
            extras: long(256),
            ..good.clone()
        },
        Frame {
            key: long(65_536),
            ..good.clone()
        },
        Frame {
            key: long(256),
            framing,
            ..good.clone()
        },
        Frame {
            framing: long(256),
            ..good.clone()
        },
        Frame {
            value: long(Frame::BODY_BYTES_MAX),
            ..good.clone()
        },
    ] {
        let mut out = vec![1, 2, 3];
        assert!(matches!(
            bad.encode(&mut out),
            Err(WireError::TooLarge { .. })
        ));
        assert_eq!(out, [1, 2, 3], "nothing written");
    }
    let key = Frame {
        key: long(65_535),
        ..good
    };
    let mut out = Vec::new();
    key.encode(&mut out).expect("just fits");
    assert_eq!(frame(&out), key);
}
