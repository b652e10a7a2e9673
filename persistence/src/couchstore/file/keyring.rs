//! Keys of encrypted files, by the ids that the files name.
//!
//! What always holds: the bytes of a key are wiped when the keyring is dropped, and neither
//! messages nor debug output show them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::contract::EngineError;

/// Bytes of a key: the format has AES-256-GCM only.
const KEY_BYTES: usize = 32;
/// Longest text that is decoded. A key in base64 takes 44 letters.
const TEXT_BYTES_MAX: usize = 64;
const CIPHER: &str = "AES-256-GCM";

/// A key, wiped when it is dropped.
pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// The available keys for encrypted files.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<String, KeyBytes>,
}

#[derive(Deserialize)]
struct JsonKeys {
    keys: Vec<JsonKey>,
}

#[derive(Deserialize)]
struct JsonKey {
    id: String,
    cipher: Option<String>,
    key: Zeroizing<String>,
}

impl Keyring {
    /// Makes an empty keyring, which opens only files that are not encrypted.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
        }
    }

    /// Adds or replaces the key of an id. The caller wipes its own copy.
    pub fn insert(&mut self, id: impl Into<String>, key: [u8; 32]) {
        self.keys.insert(id.into(), Zeroizing::new(key));
    }

    /// Reads a key file: `{"keys": [{"id": "...", "cipher": "AES-256-GCM", "key": "<32 bytes in
    /// base64>"}]}`. `cipher` is optional, and other fields are ignored.
    ///
    /// # Errors
    /// [`EngineError::InvalidArgument`] with the reason: not such JSON, an id twice, another
    /// cipher, or a key that is not 32 bytes.
    pub fn from_json(text: &[u8]) -> Result<Self, EngineError> {
        let invalid = |what: String| EngineError::InvalidArgument(format!("key file: {what}"));
        // The parser's message could quote a key; kind and place of the error are enough.
        let json: JsonKeys = serde_json::from_slice(text).map_err(|error| {
            let kind = if error.is_data() {
                "missing fields or wrong types"
            } else {
                "invalid JSON"
            };
            invalid(format!(
                "{kind}, line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        let mut keyring = Self::new();
        for JsonKey { id, cipher, key } in json.keys {
            if cipher.as_deref().is_some_and(|cipher| cipher != CIPHER) {
                return Err(invalid(format!("key {id}: the cipher must be {CIPHER}")));
            }
            let key = decode(&key)
                .ok_or_else(|| invalid(format!("key {id} is not 32 bytes in base64")))?;
            if keyring.keys.contains_key(&id) {
                return Err(invalid(format!("key {id} occurs twice")));
            }
            keyring.keys.insert(id, key);
        }
        Ok(keyring)
    }

    /// Returns the ids of its keys, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&KeyBytes> {
        self.keys.get(id)
    }
}

fn decode(text: &str) -> Option<KeyBytes> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    // A buffer that grows would leave copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX));
    STANDARD.decode_vec(text, &mut bytes).ok()?;
    let mut key = KeyBytes::default();
    if bytes.len() != key.len() {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn key_file_is_read_without_showing_its_keys() {
        let file = format!(
            r#"{{"keys":[{{"id":"b","key":"{TEXT}"}},{{"id":"a","cipher":"AES-256-GCM","key":"{TEXT}"}}],"active":"a"}}"#
        );
        let keyring = Keyring::from_json(file.as_bytes()).expect("valid");
        assert_eq!(keyring.ids().collect::<Vec<_>>(), ["a", "b"]);
        let expected: Vec<u8> = (0..32).collect();
        assert_eq!(keyring.get("a").map(|key| key.to_vec()), Some(expected));
        assert_eq!(format!("{keyring:?}"), r#"{"a", "b"}"#);
    }

    #[test]
    fn invalid_key_file_is_refused_without_quoting_it() {
        for (file, what) in [
            ("{".to_owned(), "line 1"),
            (r#"{"keys":"secret-text"}"#.to_owned(), "missing fields"),
            (
                r#"{"keys":[{"id":"a","key":"secret-text"}]}"#.to_owned(),
                "key a is not 32 bytes",
            ),
            (
                format!(r#"{{"keys":[{{"id":"a","key":"{}"}}]}}"#, "A".repeat(4000)),
                "key a is not 32 bytes",
            ),
            (
                r#"{"keys":[{"id":"a","key":"AAAA"}]}"#.to_owned(),
                "key a is not 32 bytes",
            ),
            (
                format!(r#"{{"keys":[{{"id":"a","cipher":"none","key":"{TEXT}"}}]}}"#),
                "cipher",
            ),
            (
                format!(r#"{{"keys":[{{"id":"a","key":"{TEXT}"}},{{"id":"a","key":"{TEXT}"}}]}}"#),
                "twice",
            ),
        ] {
            let error = Keyring::from_json(file.as_bytes())
                .expect_err(&file)
                .to_string();
            assert!(error.contains(what) && !error.contains("secret"), "{error}");
        }
    }
}
