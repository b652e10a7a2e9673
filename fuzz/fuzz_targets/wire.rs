//! Fuzzes the bytes that a peer of the change protocol sends: frames, their messages, and the items
//! in these.
#![no_main]

use bytes::{Bytes, BytesMut};
use dcp_sim::wire::{Frame, KeyForm, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut whole = Bytes::copy_from_slice(data);
    let mut stream = BytesMut::from(data);
    loop {
        let before = whole.len();
        let decoded = Frame::decode_bytes(&mut whole);
        assert_eq!(
            decoded,
            Frame::decode(&mut stream),
            "both decoders say the same"
        );
        let Ok(Some(frame)) = decoded else {
            assert_eq!(whole.len(), before, "took nothing");
            return;
        };
        assert_eq!(
            before - whole.len(),
            frame.encoded_bytes(),
            "took what it said"
        );
        let mut again = Vec::new();
        frame.encode(&mut again).expect("it came out of a frame");
        assert_eq!(
            Frame::decode_bytes(&mut Bytes::from(again)),
            Ok(Some(frame.clone()))
        );
        let Ok(message) = Message::decode(&frame) else {
            continue;
        };
        assert_eq!(Message::decode(&message.to_frame()), Ok(message.clone()));
        if let Message::Request(request) = message {
            let _ = request.to_item(KeyForm::Collections);
            let _ = request.to_item(KeyForm::Bare);
        }
    }
});
