//! The cipher of one encrypted file: AES-256-GCM under the file's own key.
//!
//! The position of a chunk is its nonce, so a chunk that was moved does not open. Nothing is ever
//! written to an encrypted file for the same reason: a failed commit is cut off and its place used
//! again, which would encrypt two texts with one nonce.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keyring::KeyBytes;

/// Bytes that encryption adds to a chunk.
pub(crate) const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
/// Nonce, key and tag.
const WRAPPED_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;

/// A cipher that opens the chunks of one file.
#[derive(Clone)]
pub(crate) struct Cipher {
    aead: Aes256Gcm,
    /// Id of the key that the file's own key comes from.
    pub(crate) key_id: String,
}

impl Cipher {
    fn new(key: &KeyBytes, key_id: &str) -> Option<Self> {
        let aead = Aes256Gcm::new_from_slice(&key[..]).ok()?;
        Some(Self {
            aead,
            key_id: key_id.to_owned(),
        })
    }

    /// Makes the cipher of a file that contains its own key, encrypted. Returns `None` if `master`
    /// does not open it.
    pub(crate) fn unwrapped(
        master: &KeyBytes,
        key_id: &str,
        wrapped: &[u8; WRAPPED_BYTES],
    ) -> Option<Self> {
        let master = Self::new(master, key_id)?;
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        master
            .aead
            .decrypt_in_place(&Nonce::from(*nonce), key_id.as_bytes(), &mut *opened)
            .ok()?;
        let mut key = KeyBytes::default();
        key.copy_from_slice(opened.get(..32)?);
        Self::new(&key, key_id)
    }

    /// Makes the cipher of a file whose key is derived from `master` (KBKDF of SP 800-108, counter
    /// mode, HMAC-SHA256).
    pub(crate) fn derived(master: &KeyBytes, key_id: &str, context: &[u8]) -> Option<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&master[..]).ok()?;
        // One block is a whole key, so the counter is always 1.
        mac.update(&1_u32.to_be_bytes());
        mac.update(b"FileKey\0couchstore/");
        mac.update(context);
        mac.update(&256_u32.to_be_bytes());
        let mut derived = mac.finalize().into_bytes();
        let mut key = KeyBytes::default();
        key.copy_from_slice(&derived);
        zeroize::Zeroize::zeroize(derived.as_mut_slice());
        Self::new(&key, key_id)
    }

    /// Decrypts the chunk whose data begin at `start`. Returns `false` if the bytes are not those
    /// that were encrypted there.
    pub(crate) fn open(&self, start: u64, sealed: &mut Vec<u8>) -> bool {
        let mut nonce = [0; NONCE_BYTES];
        let (_, low) = nonce.split_at_mut(NONCE_BYTES - 8);
        low.copy_from_slice(&start.to_be_bytes());
        self.aead
            .decrypt_in_place(&Nonce::from(nonce), b"", sealed)
            .is_ok()
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_on_a_boundary_has_the_nonce_of_its_first_byte() {
        use crate::couchstore::file::chunk;
        use crate::couchstore::file::source::Source;
        use crate::couchstore::format::{Checksum, block};
        use crate::disk::{Disk, MemoryDisk};

        let cipher = Cipher::new(&KeyBytes::new([7; 32]), "id").expect("32 bytes");
        let path = std::path::Path::new("/0.couch.1");
        let file = MemoryDisk::new().create(path).expect("new");
        let mut source = Source::new(file, path, Checksum::Crc32c);
        // The second and third cross a boundary: within the length, and within the text.
        for (position, data_start) in [(8192, 8193), (12_286, 12_286_u64), (20_400, 20_400)] {
            let mut nonce = [0; NONCE_BYTES];
            nonce[4..].copy_from_slice(&data_start.to_be_bytes());
            let mut sealed = vec![b't'; 100];
            cipher
                .aead
                .encrypt_in_place(&Nonce::from(nonce), b"", &mut sealed)
                .expect("short");
            let mut stored = (sealed.len() as u32).to_be_bytes().to_vec();
            stored.extend(sealed);
            let (mut raw, mut end) = (Vec::new(), position);
            block::append(&mut raw, &mut end, &stored);
            source.file.write_at(&[&raw], position).expect("written");
            source.cipher = Some(cipher.clone().into());
            let read = chunk::read(&source, position, 0, end).expect("readable");
            assert_eq!(read, vec![b't'; 100]);
            assert!(
                chunk::read(&source, position, 0, end - 1).is_err(),
                "beyond the bound"
            );
        }
    }

    #[test]
    fn chunk_opens_only_unchanged_and_in_its_place() {
        let cipher = Cipher::new(&KeyBytes::new([7; 32]), "id").expect("32 bytes");
        let mut nonce = [0; NONCE_BYTES];
        nonce[10..].copy_from_slice(&[0x10, 0x01]);
        let mut sealed = b"text".to_vec();
        cipher
            .aead
            .encrypt_in_place(&Nonce::from(nonce), b"", &mut sealed)
            .expect("short");
        assert_eq!(sealed.len(), 4 + TAG_BYTES);
        let opened = |start, mut sealed: Vec<u8>| cipher.open(start, &mut sealed).then_some(sealed);
        assert_eq!(
            opened(0x1001, sealed.clone()).as_deref(),
            Some(&b"text"[..])
        );
        assert_eq!(opened(0x1002, sealed.clone()), None);
        sealed[0] ^= 1;
        assert_eq!(opened(0x1001, sealed.clone()), None);
        assert_eq!(opened(0x1001, sealed[..TAG_BYTES - 1].to_vec()), None);
        assert_eq!(format!("{cipher:?}"), r#"Cipher { key_id: "id", .. }"#);
    }
}
