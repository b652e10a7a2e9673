//! Items as documents of the format: keys with the prefix of their name space, metadata, and
//! bodies.

mod conversion;
mod revision_meta;
mod stored_key;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::conversion::from_item;
pub(crate) use self::conversion::{Document, LIMITS, NO_BODY, from_items, item_of, to_item};
pub(crate) use self::revision_meta::RevisionMeta;
pub(crate) use self::stored_key::{PREPARED, SYSTEM, is_prepared, split_key, stored_key};
