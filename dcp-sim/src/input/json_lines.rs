//! JSON lines as writes: each line is one JSON object and one batch.
//!
//! ```json
//! {"op": "set", "key": "user:1", "value": {"name": "Ada"}}
//! {"op": "set", "key_hex": "00ff", "value": "text"}
//! {"op": "delete", "key": "user:1"}
//! ```
//!
//! A string is stored as its bytes. Any other value is stored as its JSON text without the space
//! between tokens; numbers, the order of members and escapes stay as written. `key_hex` and
//! `value_hex` give bytes that are not UTF-8. Blank lines are skipped, and so is a byte order mark
//! at the beginning. Anything else is an error that names its line; files of other known formats
//! are named.

mod foreign;
mod line;
mod source;

pub use source::JsonLines;
