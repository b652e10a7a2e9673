//! Extended attributes at the start of a value.
//!
//! The layout is a u32 length of all attributes; for each one a u32 length, the name, a zero byte,
//! the text and a zero byte; then the document. A value with another layout is treated as a
//! document, so nothing is lost.

use bytes::{BufMut, Bytes};

/// Returns the document without its attributes.
pub(super) fn document_only(value: &Bytes) -> Bytes {
    split(value).map_or_else(|| value.clone(), |(_, document)| document)
}

/// Returns the system attributes, whose names start with `_`, in the layout of a value. Returns
/// `None` if there are none.
pub(super) fn system_only(value: &Bytes) -> Option<Bytes> {
    let Some((attributes, _)) = split(value) else {
        return Some(value.clone());
    };
    let mut kept = Vec::new();
    let mut rest = attributes;
    while let Some((attribute, after)) = sized(&rest) {
        if attribute.starts_with(b"_") {
            let with_length = rest.len() - after.len();
            kept.extend_from_slice(&rest.slice(..with_length));
        }
        rest = after;
    }
    // They are a part of attributes whose length is such a number.
    let length = u32::try_from(kept.len())
        .ok()
        .filter(|&length| length > 0)?;
    let mut value = Vec::with_capacity(4 + kept.len());
    value.put_u32(length);
    value.extend_from_slice(&kept);
    Some(value.into())
}

/// Splits a value into attributes and document.
fn split(value: &Bytes) -> Option<(Bytes, Bytes)> {
    sized(value)
}

/// Splits off the bytes whose number the leading u32 gives.
fn sized(bytes: &Bytes) -> Option<(Bytes, Bytes)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length))
        .ok()
        .filter(|&length| length <= rest.len())?;
    Some((bytes.slice(4..4 + length), bytes.slice(4 + length..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(attributes: &[&str], document: &str) -> Bytes {
        let mut inner = Vec::new();
        for attribute in attributes {
            inner.put_u32(attribute.len() as u32);
            inner.extend_from_slice(attribute.as_bytes());
        }
        let mut value = Vec::new();
        value.put_u32(inner.len() as u32);
        value.extend_from_slice(&inner);
        value.extend_from_slice(document.as_bytes());
        value.into()
    }

    #[test]
    fn document_is_split_from_its_attributes() {
        assert_eq!(
            document_only(&value(&["a\0{}\0", "_b\0 1\0"], "{\"x\":1}")),
            "{\"x\":1}"
        );
        assert_eq!(document_only(&value(&[], "")), "");
    }

    #[test]
    fn system_attributes_are_kept_and_user_attributes_are_not() {
        let both = value(&["a\0{}\0", "_b\0 1\0"], "ignored");
        assert_eq!(system_only(&both), Some(value(&["_b\0 1\0"], "")));
        assert_eq!(system_only(&value(&["a\0{}\0"], "")), None);
    }

    #[test]
    fn value_with_another_layout_is_unchanged() {
        for odd in [&b""[..], b"abc", b"\0\0\0\x09short"] {
            let odd = Bytes::copy_from_slice(odd);
            assert_eq!(document_only(&odd), odd);
            assert_eq!(system_only(&odd), Some(odd));
        }
    }
}
