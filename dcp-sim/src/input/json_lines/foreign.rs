//! Files of other formats, recognized by their first bytes.

use std::path::Path;

use crate::input::error::InputError;

/// Format other than JSON lines, with the command that converts it.
pub(super) struct Foreign {
    what: &'static str,
    converter: &'static str,
}

/// First bytes of a file, its description, and the command that converts it to text.
const MAGIC: [(&[u8], &str, &str); 6] = [
    (b"\x1f\x8b", "compressed with gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc"),
    (b"BZh", "compressed with bzip2", "bzip2 -dc"),
    (b"\xfd7zXZ\0", "compressed with xz", "xz -dc"),
    (
        b"\xff\xfe",
        "text in UTF-16, not UTF-8",
        "iconv -f UTF-16 -t UTF-8",
    ),
    (
        b"\xfe\xff",
        "text in UTF-16, not UTF-8",
        "iconv -f UTF-16 -t UTF-8",
    ),
];

/// Recognizes a file by `line`, the first that is not blank.
pub(super) fn recognized(line: &[u8]) -> Option<Foreign> {
    if let Some(&(_, what, converter)) = MAGIC.iter().find(|(magic, ..)| line.starts_with(magic)) {
        return Some(Foreign { what, converter });
    }
    match line.trim_ascii() {
        b"{" => Some(Foreign {
            what: "an object over several lines; each must be on one",
            converter: "jq -c .",
        }),
        text if text.starts_with(b"[") => Some(Foreign {
            what: "a JSON array; each of its objects must be on a line of its own",
            converter: "jq -c '.[]'",
        }),
        _ => None,
    }
}

impl Foreign {
    /// Returns the error for a file of this format.
    pub(super) fn error(&self, name: &Path) -> InputError {
        InputError::NotJsonLines {
            path: name.to_owned(),
            what: self.what,
            converter: self.converter,
        }
    }
}
