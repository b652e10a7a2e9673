//! The metadata of a revision beyond the index's own fields: CAS, time, flags, datatype, and the
//! state of a durable write.
//!
//! It has 18 bytes, or 25 for prepares and aborts. Reading also accepts the 19 bytes of older
//! releases.

use bytes::Bytes;
use lowtide_checkpoint::{DurabilityLevel, Seqno};

use crate::couchstore::format::fields::{Fields, put};

/// Bit of the delete source: the document expired.
const DELETED_BY_EXPIRY: u8 = 0x80;
/// Low bits of that byte in released versions. Readers ignore them.
const LEGACY_MARK: u8 = 0x01;

const PENDING: u8 = 0;
const COMMITTED: u8 = 1;
const ABORTED: u8 = 2;

/// The metadata that only the layer above the indexes understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RevisionMeta {
    pub(crate) cas: u64,
    /// Expiry, or time of deletion, in seconds since the epoch.
    pub(crate) time: u32,
    pub(crate) flags: u32,
    pub(crate) deleted_by_expiry: bool,
    pub(crate) datatype: u8,
    pub(crate) durable: Option<Durable>,
}

/// The additional bytes of durable writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// The write waits to be committed or aborted.
    Pending {
        is_delete: bool,
        level: Option<DurabilityLevel>,
    },
    /// The write was committed. Only early releases write this.
    Committed,
    /// The write was aborted, with the seqno of its prepare.
    Aborted { prepare_seqno: Seqno },
}

impl RevisionMeta {
    pub(crate) fn encode(&self) -> Bytes {
        // An exact capacity becomes `Bytes` without another allocation.
        let mut out = Vec::with_capacity(if self.durable.is_some() { 25 } else { 18 });
        put(&mut out, self.cas, 8);
        put(&mut out, u64::from(self.time), 4);
        put(&mut out, u64::from(self.flags), 4);
        out.push(
            LEGACY_MARK
                | if self.deleted_by_expiry {
                    DELETED_BY_EXPIRY
                } else {
                    0
                },
        );
        out.push(self.datatype);
        match self.durable {
            None => {}
            Some(Durable::Pending { is_delete, level }) => {
                out.push(PENDING);
                put(
                    &mut out,
                    level.map_or(0, |level| (level as u64) << 1) | u64::from(is_delete),
                    6,
                );
            }
            Some(Durable::Committed) => {
                out.push(COMMITTED);
                put(&mut out, 0, 6);
            }
            Some(Durable::Aborted { prepare_seqno }) => {
                out.push(ABORTED);
                put(&mut out, prepare_seqno.0, 6);
            }
        }
        Bytes::from(out)
    }

    /// Decodes metadata, or returns `None` if the layout is unknown.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let mut meta = Self {
            cas: fields.uint(8)?,
            time: fields.u32()?,
            flags: fields.u32()?,
            deleted_by_expiry: fields.u8()? & DELETED_BY_EXPIRY != 0,
            datatype: fields.u8()?,
            durable: None,
        };
        match fields.rest().len() {
            0 | 1 => {}
            7 => {
                let operation = fields.u8()?;
                let word = fields.uint(6)?;
                meta.durable = Some(match operation {
                    PENDING => Durable::Pending {
                        is_delete: word & 1 != 0,
                        level: level(word >> 1 & 3),
                    },
                    COMMITTED => Durable::Committed,
                    ABORTED => Durable::Aborted {
                        prepare_seqno: Seqno(word),
                    },
                    _ => return None,
                });
            }
            _ => return None,
        }
        Some(meta)
    }
}

const fn level(bits: u64) -> Option<DurabilityLevel> {
    match bits {
        1 => Some(DurabilityLevel::Majority),
        2 => Some(DurabilityLevel::MajorityAndPersistOnMaster),
        3 => Some(DurabilityLevel::PersistToMajority),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_meta_matches_the_vendors_bytes() {
        let stored = [
            0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0, 0, 0, 0, 0, 2, 0, 0, 6, 1, 1,
        ];
        let meta = RevisionMeta::decode(&stored).expect("valid");
        assert_eq!(
            (meta.cas, meta.flags, meta.datatype),
            (0x1122_3344_5566_0000, 0x0200_0006, 1)
        );
        assert_eq!(&meta.encode()[..], stored);
    }

    #[test]
    fn durable_writes_round_trip() {
        use DurabilityLevel::{Majority, PersistToMajority};
        for durable in [
            Durable::Pending {
                is_delete: true,
                level: Some(Majority),
            },
            Durable::Pending {
                is_delete: false,
                level: Some(PersistToMajority),
            },
            Durable::Pending {
                is_delete: false,
                level: None,
            },
            Durable::Committed,
            Durable::Aborted {
                prepare_seqno: Seqno(0x0102_0304_0506),
            },
        ] {
            let meta = RevisionMeta {
                cas: 7,
                time: 8,
                flags: 9,
                durable: Some(durable),
                ..RevisionMeta::default()
            };
            assert_eq!(meta.encode().len(), 25);
            assert_eq!(RevisionMeta::decode(&meta.encode()), Some(meta));
        }
    }

    #[test]
    fn revision_meta_of_another_layout_is_refused() {
        let meta = RevisionMeta {
            deleted_by_expiry: true,
            ..RevisionMeta::default()
        };
        let mut bytes = meta.encode().to_vec();
        assert_eq!(bytes[16], 0x81);
        assert_eq!(
            RevisionMeta::decode(&bytes[..16]),
            None,
            "the layout before 4.0"
        );
        assert_eq!(RevisionMeta::decode(&bytes[..17]), None);
        bytes.push(0xff);
        assert_eq!(
            RevisionMeta::decode(&bytes),
            Some(meta),
            "the layout of 4.6"
        );
        bytes.push(0xff);
        assert_eq!(RevisionMeta::decode(&bytes), None);
    }
}
