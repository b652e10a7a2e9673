//! Writes from a file: one JSON object a line, one line a batch.
//!
//! ```json
//! {"op": "set", "key": "user:1", "value": {"name": "Ada"}}
//! {"op": "set", "key_hex": "00ff", "value": "text"}
//! {"op": "delete", "key": "user:1"}
//! ```
//!
//! In goes text, out come changes. A string is stored as its bytes, any other value as its JSON text without the space
//! between tokens; numbers, the order of members and escapes stay as they are written. `key_hex` and `value_hex` give
//! bytes that are not UTF-8. Blank lines are skipped, and so is a byte order mark at the beginning; whatever else is not
//! exactly such an object is an error that names its line. What is known to be another kind of file is called by its name.

mod foreign;
mod line;
mod source;

pub use source::JsonLines;
