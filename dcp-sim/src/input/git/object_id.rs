//! Git's id of an object: the hash of its type, size and content, in lower-case hex.
//!
//! An id has 40 digits (SHA-1) or 64 (SHA-256).

use std::fmt;

use sha1::Sha1;
use sha2::{Digest, Sha256};

const SHA1_DIGITS: usize = 40;
const SHA256_DIGITS: usize = 64;

/// Id of an object. Its length is that of the repository's object format.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(Box<str>);

impl ObjectId {
    /// Parses an id as git prints it: all digits, lower case.
    #[must_use]
    pub fn parse(hex: &[u8]) -> Option<Self> {
        let digits = hex
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || !matches!(hex.len(), SHA1_DIGITS | SHA256_DIGITS) {
            return None;
        }
        std::str::from_utf8(hex).ok().map(|hex| Self(hex.into()))
    }

    /// Returns the id of a blob with that content, in this id's object format.
    #[must_use]
    pub fn of_blob(&self, content: &[u8]) -> Self {
        let header = format!("blob {}\0", content.len());
        let hash = if self.0.len() == SHA256_DIGITS {
            hex(&Sha256::new()
                .chain_update(header)
                .chain_update(content)
                .finalize())
        } else {
            hex(&Sha1::new()
                .chain_update(header)
                .chain_update(content)
                .finalize())
        };
        Self(hash.into())
    }

    /// Returns the hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` for the id that means "no object".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|digit| digit == b'0')
    }
}

fn hex(hash: &[u8]) -> String {
    use fmt::Write as _;
    let mut digits = String::with_capacity(2 * hash.len());
    for byte in hash {
        // Writing to a string never fails.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_id_is_complete_lower_case_hex() {
        for good in ["0".repeat(40), "9f".repeat(32)] {
            assert_eq!(
                ObjectId::parse(good.as_bytes()).expect("an id").as_str(),
                good
            );
        }
        for bad in [
            String::new(),
            "0".repeat(39),
            "0".repeat(41),
            "A".repeat(40),
            "g".repeat(40),
            "0".repeat(63),
        ] {
            assert_eq!(ObjectId::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    /// Expected ids are from `printf hello | git hash-object --stdin`, in a repository of either
    /// format.
    #[test]
    fn blob_ids_are_equal_to_gits() {
        let sha1 = ObjectId::parse("0".repeat(40).as_bytes()).expect("an id");
        assert_eq!(
            sha1.of_blob(b"hello").as_str(),
            "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
        );
        assert_eq!(
            sha1.of_blob(b"").as_str(),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        let sha256 = ObjectId::parse("0".repeat(64).as_bytes()).expect("an id");
        assert_eq!(
            sha256.of_blob(b"hello").as_str(),
            "8aec4e4876f854f688d0ebfc8f37598f38e5fd6903cccc850ca36591175aeb60"
        );
    }
}
