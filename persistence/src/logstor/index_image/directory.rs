//! The directory of an image: the segments it covers, and each vBucket's section.
//!
//! It is written behind the rows, and found from the file's end.
//!
//! # Invariants
//!
//! A directory is accepted as a whole: with the right checksum, of the right store, and with every
//! block before it. A section's blocks ascend, and each has its last fingerprint, so the one block
//! that can have a key is known.

use lowtide_checkpoint::Namespace;
use lowtide_checkpoint::internal::checked_invariant;
use serde::{Deserialize, Serialize};

use crate::contract::EngineError;
use crate::disk::DiskFile;
use crate::logstor::format::{
    CollectionHighSeqnos, Fingerprint, Fragment, FrameHeader, FrameKind, Location, to_u64, u32_at,
    u64_at,
};
use crate::logstor::hash_key::HashKey;
use crate::logstor::log::{Lineage, ScannedState};
use crate::shared::record::{self, FRAME_BYTES};

const MAGIC: [u8; 4] = *b"LTIX";
const VERSION: u32 = 2;
/// Magic, version, offset, bytes.
const TRAILER_BYTES: usize = 24;
const DIRECTORY_BYTES_MAX: usize = 1 << 30;

/// Everything in an image except its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct ImageDirectory {
    /// Identifies the store.
    store: [u8; 16],
    /// Appends up to this one were settled when the image was made, and are in it.
    pub(in crate::logstor) append_seqno: u64,
    /// Every use of a segment that it covers has a lower generation.
    pub(in crate::logstor) next_generation: u64,
    /// Covered uses, ascending by segment.
    pub(in crate::logstor) segments: Vec<CoveredSegment>,
    /// Sections of all vBuckets, ascending.
    pub(in crate::logstor) sections: Vec<ImageSection>,
}

/// A use of a segment, as far as the image covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct CoveredSegment {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) generation: u64,
    /// End of the covered frames.
    pub(in crate::logstor) bytes: u32,
    /// It was closed: no frame followed.
    pub(in crate::logstor) is_closed: bool,
    pub(in crate::logstor) contents: SegmentContents,
    /// Epochs of its records, ascending.
    pub(in crate::logstor) epochs: Vec<u32>,
}

/// The kind of frames in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) enum SegmentContents {
    Commits,
    Moved,
    Large(LargeFragment),
}

impl SegmentContents {
    /// Returns the contents of a segment whose first frame has this header.
    pub(in crate::logstor) fn of(header: &FrameHeader) -> Self {
        match (header.fragment(), header.kind) {
            (Some(Fragment { index, count }), _) => Self::Large(LargeFragment {
                append_seqno: header.append_seqno,
                part: header.part,
                index,
                count,
            }),
            (None, FrameKind::Moved) => Self::Moved,
            (None, _) => Self::Commits,
        }
    }
}

/// A fragment of a large record, and its place in the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct LargeFragment {
    pub(in crate::logstor) append_seqno: u64,
    /// Index of its frame in the append.
    pub(in crate::logstor) part: u32,
    pub(in crate::logstor) index: u32,
    /// Fragments of the record.
    pub(in crate::logstor) count: u32,
}

/// The section of a vBucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct ImageSection {
    pub(in crate::logstor) vb: u16,
    /// Epochs whose records count.
    pub(in crate::logstor) lineage: Lineage,
    /// The newest state of the current epoch, if one was committed.
    pub(in crate::logstor) state: Option<StateRow>,
    pub(in crate::logstor) high_seqnos: CollectionHighSeqnos,
    pub(in crate::logstor) rows: u64,
    /// Blocks in the order of their rows.
    pub(in crate::logstor) blocks: Vec<RowBlock>,
}

/// A vBucket's state, and the location of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct StateRow {
    pub(in crate::logstor) revision: u64,
    pub(in crate::logstor) high: u64,
    pub(in crate::logstor) at: Location,
    /// Number of its append.
    pub(in crate::logstor) append_seqno: u64,
    pub(in crate::logstor) bytes: Vec<u8>,
}

impl From<ScannedState> for StateRow {
    fn from(state: ScannedState) -> Self {
        let ScannedState {
            revision,
            high,
            at,
            bytes,
            append_seqno,
            ..
        } = state;
        Self {
            revision,
            high,
            at,
            append_seqno,
            bytes,
        }
    }
}

/// A block of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct RowBlock {
    pub(in crate::logstor) offset: u64,
    pub(in crate::logstor) bytes: u32,
    pub(in crate::logstor) crc: u32,
    /// Fingerprint of its last row.
    pub(in crate::logstor) last: Fingerprint,
}

impl ImageSection {
    /// Returns the block that has a key's row, if the section has one.
    pub(super) fn block_of(&self, fingerprint: Fingerprint) -> Option<&RowBlock> {
        self.blocks.get(
            self.blocks
                .partition_point(|block| block.last < fingerprint),
        )
    }
}

impl ImageDirectory {
    pub(in crate::logstor) const fn new(
        store: [u8; 16],
        append_seqno: u64,
        next_generation: u64,
    ) -> Self {
        Self {
            store,
            append_seqno,
            next_generation,
            segments: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Returns the covered use of a segment.
    pub(in crate::logstor) fn covered(&self, segment: u32) -> Option<&CoveredSegment> {
        let at = self
            .segments
            .binary_search_by_key(&segment, |covered| covered.segment)
            .ok()?;
        self.segments.get(at)
    }

    pub(in crate::logstor) fn section(&self, vb: u16) -> Option<&ImageSection> {
        let at = self
            .sections
            .binary_search_by_key(&vb, |section| section.vb)
            .ok()?;
        self.sections.get(at)
    }

    /// Encodes what follows `offset` bytes of rows; `None` if it would be too large.
    pub(super) fn encode(&self, offset: u64) -> Option<Vec<u8>> {
        let mut bytes = record::encode(self, DIRECTORY_BYTES_MAX)?;
        checked_invariant!(
            record::decode::<Self>(&bytes, DIRECTORY_BYTES_MAX)
                .is_ok_and(|(read, _)| read == *self),
            "L21",
            "the directory of an image is read as it is written"
        );
        let len = to_u64(bytes.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend_from_slice(&len.to_be_bytes());
        Some(bytes)
    }

    /// Reads the directory of a file. The inner error is the reason why it is not one of this
    /// store.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn read(
        file: &dyn DiskFile,
        store: [u8; 16],
    ) -> Result<Result<Self, &'static str>, EngineError> {
        let len = file.len()?;
        let Some(end) = len.checked_sub(to_u64(TRAILER_BYTES)) else {
            return Ok(Err("it is too short"));
        };
        let mut trailer = [0; TRAILER_BYTES];
        let count = file.read_at(&mut trailer, end)?;
        let read = trailer.get(..count).and_then(directory_place);
        let Some((offset, bytes)) = read else {
            return Ok(Err("its end is not one of an index image"));
        };
        if offset.checked_add(bytes) != Some(end) {
            return Ok(Err("its end is damaged"));
        }
        // Damage may claim the whole file.
        let bytes = usize::try_from(bytes)
            .ok()
            .filter(|&bytes| bytes <= FRAME_BYTES + DIRECTORY_BYTES_MAX);
        let Some(bytes) = bytes else {
            return Ok(Err("its directory is too large"));
        };
        let mut frame = vec![0; bytes];
        let count = file.read_at(&mut frame, offset)?;
        frame.truncate(count);
        let Ok((directory, _)) = record::decode::<Self>(&frame, DIRECTORY_BYTES_MAX) else {
            return Ok(Err("its directory is damaged"));
        };
        if directory.store != store {
            return Ok(Err("it is another store's"));
        }
        let blocks = directory
            .sections
            .iter()
            .flat_map(|section| &section.blocks);
        let ends = blocks.map(|block| block.offset.checked_add(block.bytes.into()));
        let are_inside = ends
            .into_iter()
            .all(|end| end.is_some_and(|end| end <= offset));
        let mut sections = directory.sections.iter();
        let ascend = sections.all(|section| section.blocks.is_sorted_by(|a, b| a.last < b.last));
        Ok(if are_inside && ascend {
            Ok(directory)
        } else {
            Err("its directory is damaged")
        })
    }
}

/// Reads the offset and the length of the directory from a trailer.
fn directory_place(trailer: &[u8]) -> Option<(u64, u64)> {
    let is_known = trailer.starts_with(&MAGIC) && u32_at(trailer, 4) == Some(VERSION);
    u64_at(trailer, 8)
        .zip(u64_at(trailer, 16))
        .filter(|_| is_known)
}

/// Identifies the images of a store.
pub(in crate::logstor) fn store_id(hash_key: HashKey) -> [u8; 16] {
    Fingerprint::of(hash_key, Namespace::System, b"index image").to_bytes()
}
