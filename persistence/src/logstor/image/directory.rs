//! What an image has where: the segments it covers, and each vBucket's section. It goes in behind the rows and is found
//! from the file's end.
//!
//! ```text
//! rows, in blocks | directory, a frame of crate::record | magic u32 | version u32 | directory's offset u64 | bytes u64
//! ```
//!
//! Always: a directory is taken whole, with its checksum right, and of the store it was made for; every block in it lies
//! before it. A section's blocks ascend, and each says which fingerprint is its last: so the one block that can have a key
//! is found by that.

use serde::{Deserialize, Serialize};

use lowtide_checkpoint::Namespace;

use crate::contract::EngineError;
use crate::disk::DiskFile;
use crate::logstor::fingerprint::Fingerprint;
use crate::logstor::found::FoundState;
use crate::logstor::frame::{FrameKind, Header};
use crate::logstor::highs::CollectionHighs;
use crate::logstor::manifest::Lineage;
use crate::logstor::segment::Location;
use crate::record;

const MAGIC: [u8; 4] = *b"LTIX";
const VERSION: u32 = 2;
/// Magic, version, offset, bytes.
const TRAILER_BYTES: usize = 24;
const DIRECTORY_BYTES_MAX: usize = 1 << 30;

/// Everything an image says but its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Directory {
    /// Tells stores apart.
    store: [u8; 16],
    /// Appends up to there were settled when it was made, and are in it.
    pub(in crate::logstor) number: u64,
    /// No use of a segment it covers has this generation, or a higher one.
    pub(in crate::logstor) next_generation: u64,
    /// Ascending by segment.
    pub(in crate::logstor) segments: Vec<Covered>,
    /// Ascending by vBucket: all there were.
    pub(in crate::logstor) sections: Vec<Section>,
}

/// A use of a segment, as far as the image knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Covered {
    pub(in crate::logstor) segment: u32,
    pub(in crate::logstor) generation: u64,
    /// Frames before that are covered.
    pub(in crate::logstor) bytes: u32,
    /// No frame was to follow.
    pub(in crate::logstor) is_closed: bool,
    pub(in crate::logstor) contents: Contents,
    /// Whose records are in it; ascending.
    pub(in crate::logstor) epochs: Vec<u32>,
}

/// What wrote a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) enum Contents {
    Commits,
    Moved,
    Large(Piece),
}

impl Contents {
    /// What writes a frame with such a header.
    pub(in crate::logstor) fn of(header: &Header) -> Self {
        let Header {
            kind,
            number,
            part,
            piece,
            pieces,
            ..
        } = *header;
        match kind {
            FrameKind::Large => Self::Large(Piece {
                number,
                part,
                piece,
                pieces,
            }),
            FrameKind::Moved => Self::Moved,
            FrameKind::Commit | FrameKind::Free => Self::Commits,
        }
    }
}

/// A piece of a large record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Piece {
    /// Its append, and which part of that.
    pub(in crate::logstor) number: u64,
    pub(in crate::logstor) part: u32,
    /// Which piece of how many.
    pub(in crate::logstor) piece: u32,
    pub(in crate::logstor) pieces: u32,
}

/// A vBucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Section {
    pub(in crate::logstor) vb: u16,
    /// Whose records count.
    pub(in crate::logstor) lineage: Lineage,
    /// The newest state of the epoch being written, if one was committed.
    pub(in crate::logstor) state: Option<StateRow>,
    pub(in crate::logstor) highs: CollectionHighs,
    pub(in crate::logstor) rows: u64,
    /// In the order of their rows.
    pub(in crate::logstor) blocks: Vec<Block>,
}

/// A vBucket's state, and where its record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct StateRow {
    pub(in crate::logstor) revision: u64,
    pub(in crate::logstor) high: u64,
    pub(in crate::logstor) at: Location,
    /// Its append.
    pub(in crate::logstor) number: u64,
    pub(in crate::logstor) bytes: Vec<u8>,
}

impl From<FoundState> for StateRow {
    fn from(state: FoundState) -> Self {
        let FoundState {
            revision,
            high,
            at,
            bytes,
            number,
            ..
        } = state;
        Self {
            revision,
            high,
            at,
            number,
            bytes,
        }
    }
}

/// Where rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Block {
    pub(in crate::logstor) offset: u64,
    pub(in crate::logstor) bytes: u32,
    pub(in crate::logstor) crc: u32,
    /// Of its last row.
    pub(in crate::logstor) last: Fingerprint,
}

impl Section {
    /// The block that has a key's row, if there is one.
    pub(in crate::logstor) fn block_of(&self, fingerprint: Fingerprint) -> Option<&Block> {
        self.blocks.get(
            self.blocks
                .partition_point(|block| block.last < fingerprint),
        )
    }
}

impl Directory {
    pub(in crate::logstor) const fn new(
        store: [u8; 16],
        number: u64,
        next_generation: u64,
    ) -> Self {
        Self {
            store,
            number,
            next_generation,
            segments: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// What it says of a segment.
    pub(in crate::logstor) fn covered(&self, segment: u32) -> Option<&Covered> {
        let at = self
            .segments
            .binary_search_by_key(&segment, |covered| covered.segment)
            .ok()?;
        self.segments.get(at)
    }

    pub(in crate::logstor) fn section(&self, vb: u16) -> Option<&Section> {
        let at = self
            .sections
            .binary_search_by_key(&vb, |section| section.vb)
            .ok()?;
        self.sections.get(at)
    }

    /// What follows `offset` bytes of rows; nothing if it would be too large.
    pub(super) fn encode(&self, offset: u64) -> Option<Vec<u8>> {
        let mut bytes = record::encode(self, DIRECTORY_BYTES_MAX)?;
        let len = bytes.len() as u64;
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend_from_slice(&len.to_be_bytes());
        Some(bytes)
    }

    /// The directory of a file; or why there is none for this store.
    ///
    /// # Errors
    /// [`EngineError::Disk`].
    pub(super) fn read(
        file: &dyn DiskFile,
        store: [u8; 16],
    ) -> Result<Result<Self, &'static str>, EngineError> {
        let len = file.len()?;
        let Some(end) = len.checked_sub(TRAILER_BYTES as u64) else {
            return Ok(Err("it is too short"));
        };
        let mut trailer = [0; TRAILER_BYTES];
        let count = file.read_at(&mut trailer, end)?;
        let (kind, place) = trailer.split_at(8);
        let u64_at = |at: usize| {
            place
                .get(at..)
                .and_then(|bytes| bytes.first_chunk())
                .map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        let (offset, bytes) = (u64_at(0), u64_at(8));
        if count < TRAILER_BYTES || kind != [MAGIC, VERSION.to_be_bytes()].concat() {
            return Ok(Err("its end is not one of an index image"));
        }
        if offset.checked_add(bytes) != Some(end) {
            return Ok(Err("its end is damaged"));
        }
        let mut frame = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
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

/// What tells a store's images from another's.
pub(in crate::logstor) fn store_id(hash_key: [u64; 2]) -> [u8; 16] {
    Fingerprint::of(hash_key, Namespace::System, b"index image").to_bytes()
}
