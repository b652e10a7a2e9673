//! Values of the by-id index: the row of a key.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::document_info::{DocInfo, Row};
use crate::couchstore::format::fields::{Fields, put};

pub(crate) fn encode(info: &DocInfo) -> Bytes {
    let mut out = Vec::with_capacity(23 + info.rev_meta.len());
    encode_into(&mut out, info);
    Bytes::from(out)
}

/// Appends a row's value.
pub(crate) fn encode_into(out: &mut Vec<u8>, info: &DocInfo) {
    put(out, info.seqno.0, 6);
    put(out, info.physical_bytes, 4);
    put(out, info.position_word(), 6);
    put(out, info.rev_seqno, 6);
    out.push(info.content_meta);
    out.extend_from_slice(&info.rev_meta);
}

/// Reads a row. Returns `None` if it is too short.
pub(crate) fn row<'a>(key: &'a [u8], value: &'a [u8]) -> Option<Row<'a>> {
    let mut fields = Fields::new(value);
    let seqno = Seqno(fields.uint(6)?);
    let physical_bytes = fields.uint(4)?;
    let (deleted, body_position) = DocInfo::split_position(fields.uint(6)?);
    let rev_seqno = fields.uint(6)?;
    let content_meta = fields.u8()?;
    let rev_meta = fields.rest();
    Some(Row {
        id: key,
        seqno,
        rev_seqno,
        deleted,
        body_position,
        physical_bytes,
        content_meta,
        rev_meta,
    })
}

/// Same as [`row`], but copies the bytes.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<DocInfo> {
    row(key, value).map(Row::to_info)
}

/// Returns what the reduction needs: whether the row is a tombstone, and the size of its body on
/// disk.
pub(crate) fn figures(value: &[u8]) -> Option<(bool, u64)> {
    let mut fields = Fields::new(value);
    fields.bytes(6)?;
    let physical_bytes = fields.uint(4)?;
    let (deleted, _) = DocInfo::split_position(fields.uint(6)?);
    fields.bytes(7)?;
    Some((deleted, physical_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_id_row_matches_the_vendors_bytes() {
        // key00 in the vendor's b_ten file.
        let rev_meta = [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0, 0, 0, 0, 0, 2, 0, 0, 6, 1, 1,
        ];
        let mut stored = vec![
            0, 0, 0, 0, 0, 1, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 1, 0,
        ];
        stored.extend(rev_meta);
        let info = decode(b"\0key00", &stored).expect("valid");
        assert_eq!(
            (info.seqno, info.physical_bytes, info.body_position),
            (Seqno(1), 29, 48)
        );
        assert_eq!(
            (info.rev_seqno, info.deleted, info.content_meta),
            (1, false, 0)
        );
        assert_eq!(&info.rev_meta[..], rev_meta);
        assert_eq!(encode(&info), stored);
        assert_eq!(figures(&stored), Some((false, 29)));
        assert_eq!(decode(b"\0key00", &stored[..22]), None);
    }
}
