//! Tests of the promises of `wire`.

mod examples;
mod generate;
mod hostile;
mod item_format;
mod items;
mod refusals;
mod round_trip;
mod sizes;
mod stream_examples;

use bytes::Bytes;

use super::frame::Frame;
use super::message::Message;

/// Parses hexadecimal digits and ignores white space.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    assert_eq!(digits.len() % 2, 0, "half a byte");
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn frame(bytes: &[u8]) -> Frame {
    let mut buffer = Bytes::copy_from_slice(bytes);
    let frame = Frame::decode_bytes(&mut buffer)
        .expect("a frame")
        .expect("a whole one");
    assert!(buffer.is_empty(), "bytes left");
    frame
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).expect("not too long");
    out
}
