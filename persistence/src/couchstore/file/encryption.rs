//! The encryption of a file: block 0, which describes it, and the cipher made of that and a key.
//!
//! *E18.* An encrypted file is read with its key and no other. Without the key the error names its
//! id. Only chunks are encrypted: headers stay readable, so damage and a missing key are different
//! errors.

use crate::contract::EngineError;
use crate::couchstore::format::{Checksum, Fields, Tree, block};
use crate::numbers::{part_to_usize, to_u64};

use super::chunk;
use super::cipher::Cipher;
use super::commit_view::CommitView;
use super::keyring::Keyring;
use super::source::Source;

/// Checksum, version, key id and context with their lengths.
const LENGTH_MAX: u64 = 4 + 1 + 256 + 256;
/// The block contains the file's key, encrypted.
const WRAPPED: u8 = 0;
/// The file's key is derived.
const DERIVED: u8 = 1;

/// The content of block 0 of an encrypted file.
#[derive(Debug, PartialEq, Eq)]
struct KeyBlock {
    version: u8,
    key_id: String,
    context: Vec<u8>,
}

impl KeyBlock {
    fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let cut = "encryption block is cut short";
        let mut fields = Fields::new(bytes);
        if fields.uint(1) != Some(u64::from(block::ENCRYPTION)) {
            return Err("encryption block is missing");
        }
        let length = fields.uint(4).ok_or(cut)?;
        let checksum = fields.u32().ok_or(cut)?;
        let body_bytes = length.checked_sub(4).filter(|_| length <= LENGTH_MAX);
        let body_bytes = body_bytes.ok_or("encryption block has an impossible length")?;
        let body = fields.bytes(part_to_usize(body_bytes)).ok_or(cut)?;
        if Checksum::Crc32c.of(body) != checksum {
            return Err("checksum of encryption block does not match");
        }
        Self::decode_body(body).ok_or("encryption block is malformed")
    }

    fn decode_body(body: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(body);
        let version = fields.u8()?;
        let id_bytes = usize::from(fields.u8()?);
        let key_id = String::from_utf8(fields.bytes(id_bytes)?.to_vec()).ok()?;
        let context_bytes = usize::from(fields.u8()?);
        let context = fields.bytes(context_bytes)?.to_vec();
        fields.rest().is_empty().then_some(Self {
            version,
            key_id,
            context,
        })
    }

    fn read(source: &Source) -> Result<Self, EngineError> {
        let raw = source.read_raw(0, 5 + LENGTH_MAX)?;
        Self::decode(&raw).map_err(|what| source.corrupt(0, what))
    }
}

/// Returns the size of block 0 of an encrypted file, and 0 for other files.
///
/// # Errors
/// [`EngineError::Corrupt`] or [`EngineError::Disk`].
pub(crate) fn block_bytes(view: &CommitView) -> Result<u64, EngineError> {
    if !view.header.encrypted {
        return Ok(0);
    }
    let KeyBlock {
        key_id, context, ..
    } = KeyBlock::read(&view.source)?;
    // Type, length, checksum, version, and the lengths of the two.
    Ok(1 + 4 + 4 + 1 + 1 + 1 + to_u64(key_id.len() + context.len()))
}

/// Makes the error for writing to an encrypted file.
pub(crate) fn refuse(source: &Source) -> EngineError {
    match KeyBlock::read(source) {
        Ok(block) => source.unsupported(format!(
            "encrypted with key {}: encrypted files are read, not written",
            block.key_id
        )),
        Err(error) => error,
    }
}

/// Puts the cipher into the view of an encrypted file.
///
/// # Errors
/// [`EngineError::KeyMissing`], [`EngineError::KeyWrong`]; [`EngineError::Corrupt`] or
/// [`EngineError::Unsupported`] if block 0 does not describe an encryption; [`EngineError::Disk`].
pub(crate) fn unlock(view: &mut CommitView, keys: &Keyring) -> Result<(), EngineError> {
    let KeyBlock {
        version,
        key_id,
        context,
    } = KeyBlock::read(&view.source)?;
    let path = || view.source.path_buf();
    let Some(master) = keys.get(&key_id) else {
        return Err(EngineError::KeyMissing {
            path: path(),
            key_id,
        });
    };
    let cipher = match version {
        WRAPPED => {
            let wrapped = context.as_slice().try_into();
            let wrapped =
                wrapped.map_err(|_| view.source.corrupt(0, "encrypted key of a wrong length"))?;
            Cipher::unwrapped(master, &key_id, wrapped)
        }
        DERIVED => Cipher::derived(master, &key_id, &context),
        version => {
            return Err(view
                .source
                .unsupported(format!("encryption of an unknown version {version}")));
        }
    };
    let wrong = EngineError::KeyWrong {
        path: path(),
        key_id,
    };
    let Some(cipher) = cipher else {
        return Err(wrong);
    };
    view.source.cipher = Some(cipher.into());
    // Any key derives another one, so only a chunk shows whether it is right.
    if version == DERIVED && !opens_any_root(view)? {
        return Err(wrong);
    }
    Ok(())
}

fn opens_any_root(view: &CommitView) -> Result<bool, EngineError> {
    let trees = [Tree::Local, Tree::BySeqno, Tree::ById];
    let mut is_empty = true;
    for root in trees.into_iter().filter_map(|tree| view.header.root(tree)) {
        is_empty = false;
        match chunk::read(&view.source, root.position, chunk::NODE_HINT, view.position) {
            Ok(_) => return Ok(true),
            Err(EngineError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block 0 of the vendor's file with a derived key.
    const DERIVED_BLOCK: [u8; 54] = [
        0x02, 0x00, 0x00, 0x00, 0x31, 0x94, 0xfc, 0xf2, 0x28, 0x01, 0x0a, 0x74, 0x65, 0x73, 0x74,
        0x2d, 0x6b, 0x65, 0x79, 0x2d, 0x31, 0x20, 0xc4, 0x92, 0xfe, 0xaf, 0x07, 0x2f, 0x47, 0xf6,
        0x4b, 0x19, 0x1a, 0x7d, 0x09, 0x39, 0xcb, 0x5d, 0x1a, 0x8a, 0x2d, 0x6f, 0xb1, 0xe7, 0xb2,
        0xd6, 0x38, 0xeb, 0xb4, 0xa6, 0x44, 0xc2, 0x95, 0xc3,
    ];

    #[test]
    fn key_block_of_the_vendor_decodes() {
        let block = KeyBlock::decode(&DERIVED_BLOCK).expect("valid");
        assert_eq!(
            (block.version, block.key_id.as_str()),
            (DERIVED, "test-key-1")
        );
        assert_eq!(block.context, DERIVED_BLOCK[22..]);
    }

    #[test]
    fn key_block_with_any_change_or_cut_is_refused() {
        for at in 0..DERIVED_BLOCK.len() {
            let mut bytes = DERIVED_BLOCK;
            bytes[at] ^= 0x10;
            assert!(KeyBlock::decode(&bytes).is_err(), "{at}");
            assert!(KeyBlock::decode(&DERIVED_BLOCK[..at]).is_err(), "{at}");
        }
    }
}
