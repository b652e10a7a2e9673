//! Keys and values of the by-seqno index: the row of a seqno.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::document_info::{DocInfo, Row};
use crate::couchstore::format::fields::{Fields, U48_MAX, put};
use crate::couchstore::format::node::{put_lengths, take_lengths};
use crate::numbers::{part_to_usize, to_u64};

/// Length of a key.
const KEY_BYTES: usize = 6;

/// Returns the key of a seqno's row.
pub(crate) fn key(seqno: Seqno) -> Bytes {
    let mut out = Vec::with_capacity(KEY_BYTES);
    key_into(&mut out, seqno);
    Bytes::from(out)
}

/// Returns the key at which a walk begins that includes `from` and later seqnos.
pub(crate) fn first_key(from: Seqno) -> Bytes {
    // A number beyond 48 bits comes after all that fit.
    if from.0 > U48_MAX {
        Bytes::from_static(&[0xff; 7])
    } else {
        key(from)
    }
}

/// Returns the seqno of a key, or `None` if the key does not have six bytes.
pub(crate) fn seqno(key: &[u8]) -> Option<Seqno> {
    let mut fields = Fields::new(key);
    let seqno = fields.uint(6)?;
    fields.rest().is_empty().then_some(Seqno(seqno))
}

pub(crate) fn encode(info: &DocInfo) -> Bytes {
    let mut out = Vec::with_capacity(18 + info.id.len() + info.rev_meta.len());
    encode_into(&mut out, info);
    Bytes::from(out)
}

/// Appends a row's value.
pub(crate) fn encode_into(out: &mut Vec<u8>, info: &DocInfo) {
    put_lengths(out, info.id.len(), part_to_usize(info.physical_bytes));
    put(out, info.position_word(), 6);
    put(out, info.rev_seqno, 6);
    out.push(info.content_meta);
    out.extend_from_slice(&info.id);
    out.extend_from_slice(&info.rev_meta);
}

/// Appends the key of a seqno's row.
pub(crate) fn key_into(out: &mut Vec<u8>, seqno: Seqno) {
    put(out, seqno.0, KEY_BYTES);
}

/// Reads a row. Returns `None` if it or its key is too short.
pub(crate) fn row<'a>(key: &[u8], value: &'a [u8]) -> Option<Row<'a>> {
    let mut fields = Fields::new(value);
    let (id_bytes, physical_bytes) = take_lengths(&mut fields)?;
    let (deleted, body_position) = DocInfo::split_position(fields.uint(6)?);
    let rev_seqno = fields.uint(6)?;
    let content_meta = fields.u8()?;
    let id = fields.bytes(id_bytes)?;
    Some(Row {
        id,
        seqno: seqno(key)?,
        rev_seqno,
        deleted,
        body_position,
        physical_bytes: to_u64(physical_bytes),
        content_meta,
        rev_meta: fields.rest(),
    })
}

/// Same as [`row`], but copies the bytes.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<DocInfo> {
    row(key, value).map(Row::to_info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_seqno_row_matches_the_vendors_bytes() {
        // key00 in the vendor's b_ten file.
        let mut stored = vec![
            0, 0x60, 0, 0, 0x1d, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 1, 0,
        ];
        stored.extend(b"\0key00");
        stored.extend([
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0, 0, 0, 0, 0, 2, 0, 0, 6, 1, 1,
        ]);
        let stored = Bytes::from(stored);
        let info = decode(&[0, 0, 0, 0, 0, 1], &stored).expect("valid");
        assert_eq!(&info.id[..], b"\0key00");
        assert_eq!(
            (info.seqno, info.physical_bytes, info.body_position),
            (Seqno(1), 29, 48)
        );
        assert_eq!(encode(&info), stored);
        assert_eq!(&key(info.seqno)[..], [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn tombstone_row_matches_the_vendors_bytes() {
        // deleted-ttl in the vendor's d_rich file.
        let mut stored = vec![
            0x00, 0xc0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 3,
        ];
        stored.extend(b"\0deleted-ttl");
        let stored = Bytes::from(stored);
        let info = decode(&[0, 0, 0, 0, 0, 9], &stored).expect("valid");
        assert_eq!(
            (info.deleted, info.body_position, info.physical_bytes),
            (true, 0, 0)
        );
        assert_eq!(
            (info.rev_seqno, info.content_meta, &info.id[..]),
            (5, 3, &b"\0deleted-ttl"[..])
        );
        assert_eq!(encode(&info), stored);
        assert_eq!(decode(&[0, 0, 0, 0, 0, 9], &stored.slice(..20)), None);
        assert_eq!(decode(&[9], &stored), None);
    }
}
