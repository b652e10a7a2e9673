//! Round trips of messages, for every way the bytes may arrive.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{encoded, frame, generate};
use crate::wire::frame::Frame;
use crate::wire::message::Message;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn message_survives_the_round_trip(message in generate::message()) {
        let bytes = encoded(&message);
        let frame = frame(&bytes);
        prop_assert_eq!(&Message::decode(&frame), &Ok(message.clone()));
        prop_assert_eq!(&message.to_frame(), &frame);
        prop_assert_eq!(frame.encoded_bytes(), bytes.len());
        if let Message::Request(request) = &message {
            prop_assert_eq!(request.encoded_bytes(), bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A connection delivers bytes, not frames.
    #[test]
    fn frames_are_equal_for_any_split_of_the_bytes(
        messages in vec(generate::message(), 1..6),
        pieces in vec(1usize..90, 1..20),
    ) {
        let frames: Vec<Frame> = messages.iter().map(Message::to_frame).collect();
        let stream: Vec<u8> = messages.iter().flat_map(encoded).collect();
        prop_assert_eq!(&delivered(&stream, &[1]), &frames, "byte by byte");
        prop_assert_eq!(&delivered(&stream, &pieces), &frames, "in pieces of {:?}", pieces);
        prop_assert_eq!(&delivered(&stream, &[usize::MAX]), &frames, "at once");
    }
}

/// Returns the frames of `stream`, delivered in pieces of these sizes in rotation.
fn delivered(stream: &[u8], pieces: &[usize]) -> Vec<Frame> {
    let (mut buffer, mut frames, mut rest) = (BytesMut::new(), Vec::new(), stream);
    for &size in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        buffer.extend_from_slice(piece);
        while let Some(frame) = Frame::decode(&mut buffer).expect("valid") {
            frames.push(frame);
        }
    }
    assert!(buffer.is_empty(), "bytes left");
    frames
}

#[test]
fn keys_and_values_are_slices_of_the_input() {
    let bytes = super::hex(
        "08 57 03 02  1f 00 0000  00000026 00000001 0000000000000001  22 0007
         0000000000000004 0000000000000001 00000000 00000000 00000000 0000 00  0061  76767676",
    );
    let input = Bytes::from(bytes);
    let within = |part: &Bytes| input.as_ptr_range().contains(&part.as_ptr());
    let frame = Frame::decode_bytes(&mut input.clone())
        .expect("valid")
        .expect("whole");
    let Ok(Message::Request(request)) = Message::decode(&frame) else {
        panic!("a request")
    };
    let crate::wire::request::Command::Mutation(mutation) = &request.command else {
        panic!("a mutation")
    };
    assert!(within(&mutation.key) && within(&mutation.value));

    let mut growing = BytesMut::from(&input[..]);
    let start = growing.as_ptr();
    let frame = Frame::decode(&mut growing).expect("valid").expect("whole");
    assert_eq!(frame.value.as_ptr(), start.wrapping_add(24 + 3 + 31 + 2));
}
