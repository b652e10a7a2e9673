//! Translation of items for one connection, without the parts that it did not request.
//!
//! | item | a connection with durable writes | any other |
//! |---|---|---|
//! | prepare, abort | unchanged | nothing |
//! | commit from memory | unchanged | its mutation or deletion |
//! | commit from disk | its mutation or deletion, since the prepare may be gone | its mutation or deletion |
//! | vBucket state | nothing | nothing |
//!
//! So a client without durable writes sees committed values, at their commits (S17).
//!
//! A connection without values gets none, and no datatype unless requested. A connection without
//! extended attributes gets documents without them; a deleted document consists of attributes only.
//! Compressed values are sent unchanged to nodes and expanded for clients. A value that does not
//! expand is not compressed and is sent unchanged.

use lowtide_checkpoint::{Datatype, Item, Operation};

use super::session::Options;
use crate::wire::{Command, OpenFlags, WireError};

mod xattrs;

/// Returns the message for an item from memory, or `None` if this connection does not get it.
pub(super) fn command(item: &Item, options: &Options) -> Result<Option<Command>, WireError> {
    match item.operation {
        _ if !is_visible(item, options) => Ok(None),
        Operation::Commit if !options.sync_writes => disk_command(item, options),
        _ => Command::from_item(
            &with_requested_value(item.clone(), options),
            &options.item_format(),
        )
        .map(Some),
    }
}

/// Returns `true` if this connection gets the item.
pub(super) fn is_visible(item: &Item, options: &Options) -> bool {
    match item.operation {
        Operation::SetVBucketState(_) => false,
        Operation::Prepare | Operation::Abort => options.sync_writes,
        _ => true,
    }
}

/// Returns the message for an item from disk.
pub(super) fn disk_command(item: &Item, options: &Options) -> Result<Option<Command>, WireError> {
    if item.operation != Operation::Commit {
        return command(item, options);
    }
    let operation = if item.deleted {
        Operation::Deletion
    } else {
        Operation::Mutation
    };
    command(
        &Item {
            operation,
            ..item.clone()
        },
        options,
    )
}

/// Returns the item with the value that this connection requested.
fn with_requested_value(item: Item, options: &Options) -> Item {
    let has = |flag| options.flags.contains(flag);
    if item.value.is_none() {
        return item;
    }
    if has(OpenFlags::NO_VALUE) || has(OpenFlags::NO_VALUE_WITH_DATATYPE) {
        let datatype = if has(OpenFlags::NO_VALUE) {
            Datatype::RAW
        } else {
            item.datatype
        };
        return Item {
            value: None,
            datatype,
            ..item
        };
    }
    without_xattrs(expanded(item, options), options)
}

/// Returns the item without the extended attributes that this connection did not request.
fn without_xattrs(item: Item, options: &Options) -> Item {
    let has_xattrs = options.flags.contains(OpenFlags::INCLUDE_XATTRS);
    let Some(value) = &item.value else {
        return item;
    };
    if !item.datatype.contains(Datatype::XATTR) || item.operation == Operation::SystemEvent {
        return item;
    }
    let is_tombstone = matches!(item.operation, Operation::Deletion | Operation::Expiration);
    let value = match (has_xattrs, is_tombstone) {
        (true, true) if !options.deleted_user_xattrs && !options.sync_writes => {
            xattrs::system_only(value)
        }
        (true, _) => return item,
        (false, true) => None,
        (false, false) => Some(xattrs::document_only(value)),
    };
    let datatype = match value {
        None => Datatype::RAW,
        Some(_) if has_xattrs => item.datatype,
        Some(_) => item.datatype.without(Datatype::XATTR),
    };
    Item {
        value,
        datatype,
        ..item
    }
}

/// Highest ratio of expanded to compressed bytes: a snappy element expands to at most 64 bytes,
/// from three.
const EXPANSION_MAX: usize = 22;

/// Expands a compressed value, except for nodes, which take it unchanged.
fn expanded(item: Item, options: &Options) -> Item {
    if !item.datatype.contains(Datatype::SNAPPY) || options.is_replica_link {
        return item;
    }
    let Some(compressed) = &item.value else {
        return item;
    };
    let bytes_max = compressed.len().saturating_mul(EXPANSION_MAX);
    if !snap::raw::decompress_len(compressed).is_ok_and(|bytes| bytes <= bytes_max) {
        return item;
    }
    match snap::raw::Decoder::new().decompress_vec(compressed) {
        Ok(value) => {
            let datatype = item.datatype.without(Datatype::SNAPPY);
            Item {
                datatype,
                value: Some(value.into()),
                ..item
            }
        }
        Err(_) => item,
    }
}
