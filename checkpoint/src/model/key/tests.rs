//! Keys: prefixes, and both representations.

use super::*;

#[test]
fn key_prefix_is_leb128() {
    assert_eq!(Key::new(b"a").encoded(), b"\0a");
    assert_eq!(Key::in_collection(0x1f4, b"a").encoded(), b"\xf4\x03a");
    assert_eq!(
        Key::in_collection(u32::MAX, b"").encoded(),
        b"\xff\xff\xff\xff\x0f"
    );
    let key = Key::from_encoded(Bytes::from_static(b"\xf4\x03a")).expect("valid");
    assert_eq!((key.collection(), key.user()), (0x1f4, &b"a"[..]));
    assert_eq!(Key::parts(b"\xf4\x03a"), Some((0x1f4, &b"a"[..])));
}

#[test]
fn incomplete_oversized_or_padded_prefix_is_refused() {
    for bad in [
        &b""[..],
        b"\x80",
        b"\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\x7f",
        b"\x88\0a",
        b"\x80\0",
    ] {
        assert_eq!(
            Key::from_encoded(Bytes::copy_from_slice(bad)),
            None,
            "{bad:?}"
        );
        assert_eq!(Key::parts(bad), None, "{bad:?}");
    }
}

#[test]
fn short_and_long_keys_behave_the_same() {
    assert_eq!(size_of::<Key>(), size_of::<Bytes>());
    let long = [b'k'; 40];
    let mut before = Key::new(b"");
    for len in 0..long.len() {
        let key = Key::new(&long[..len]);
        let encoded = key.to_bytes();
        assert_eq!((key.user(), key.encoded()), (&long[..len], &encoded[..]));
        assert_eq!(Key::from_encoded(encoded), Some(key.clone()));
        assert!(len == 0 || key > before, "{key:?}");
        assert_eq!(matches!(key.0, Repr::Inline { .. }), len < INLINE_BYTES_MAX);
        before = key;
    }
}

#[test]
fn long_key_is_shared() {
    let key = Key::new(&[b'k'; 40]);
    assert_eq!(key.to_bytes().as_ptr(), key.clone().to_bytes().as_ptr());
}
