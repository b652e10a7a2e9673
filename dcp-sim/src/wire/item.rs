//! Conversion between items and a stream's messages.
//!
//! | operation | message | lost in transit |
//! |---|---|---|
//! | mutation | mutation | |
//! | deletion | deletion | flags; the delete time if the connection has none |
//! | expiration | expiration, or deletion if the connection has no expirations | flags |
//! | prepare | prepare | |
//! | commit, abort | commit, abort | all but key and the two seqnos: the receiver has the prepare |
//! | system event | system event | CAS, revision, datatype |
//! | vBucket state | none | |
//!
//! History is a property of the snapshot's marker, not of an item. A missing body and an empty body
//! are the same on the wire. Mutations, and prepares of them, return with an empty body, all others
//! without one.
//!
//! [`SystemEvent::to_item`] makes the item of a system event. Its key names the collection or scope
//! by id, so a drop replaces its creation and nothing else.

use bytes::{BufMut, Bytes};
use lowtide_checkpoint::{Item, Key, Operation, Seqno, Vbid};

use super::body::{
    Abort, Commit, Deletion, Event, Expiration, KNOWN_DATATYPES, Mutation, Prepare, SystemEvent,
};
use super::error::{Part, WireError};
use super::fields::Reader;
use super::opcode::Opcode;
use super::request::{Command, Request};

/// Form of a connection's document keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// With the collection prefix: the connection negotiated Collections.
    #[default]
    Collections,
    /// Without prefix: the connection sees the default collection only.
    Bare,
}

/// Form of a connection's deletions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeletionForm {
    /// The first form: neither Collections nor delete times.
    V1,
    /// The second form with time 0: Collections, but no delete times.
    V2,
    /// The second form with its time.
    #[default]
    V2WithTime,
}

/// Item format that a connection negotiated. The default has every feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemFormat {
    /// Form of keys.
    pub keys: KeyForm,
    /// Form of deletions.
    pub deletions: DeletionForm,
    /// `true` if expirations have a message of their own.
    pub expirations: bool,
}

impl ItemFormat {
    /// Creates the format with every feature.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keys: KeyForm::Collections,
            deletions: DeletionForm::V2WithTime,
            expirations: true,
        }
    }

    /// Sets the form of keys.
    #[must_use]
    pub const fn with_keys(mut self, keys: KeyForm) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the form of deletions.
    #[must_use]
    pub const fn with_deletions(mut self, deletions: DeletionForm) -> Self {
        self.deletions = deletions;
        self
    }

    /// Sends expirations as deletions.
    #[must_use]
    pub const fn without_expirations(mut self) -> Self {
        self.expirations = false;
        self
    }
}

impl Default for ItemFormat {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyForm {
    fn wire_key(self, item: &Item) -> Result<Bytes, WireError> {
        let refused = |what| WireError::NotSendable {
            operation: item.operation.name(),
            what,
        };
        match self {
            Self::Collections => Ok(item.key.to_bytes()),
            Self::Bare if item.key.collection() != 0 => {
                Err(refused("the key is not in the default collection"))
            }
            Self::Bare if item.key.user().is_empty() => Err(refused("the key is empty")),
            Self::Bare => {
                let encoded = item.key.to_bytes();
                Ok(encoded.slice(encoded.len() - item.key.user().len()..))
            }
        }
    }

    fn item_key(self, opcode: Opcode, key: &Bytes) -> Result<Key, WireError> {
        match self {
            Self::Collections => Key::from_encoded(key.clone()).ok_or(WireError::BadKey { opcode }),
            Self::Bare => Ok(Key::new(key)),
        }
    }
}

impl Request {
    /// Builds the message that carries `item`, for the stream requested with `opaque`.
    ///
    /// Values are sent unchanged. Removing values or attributes, and converting commits for a
    /// client without durable writes, happens to the item before.
    ///
    /// # Errors
    /// For the following items:
    /// - items without seqno or with an unknown datatype;
    /// - vBucket states, which are not part of a stream;
    /// - prepares without a level;
    /// - commits and aborts that do not name an earlier prepare;
    /// - system events that [`SystemEvent::to_item`] did not make;
    /// - keys that a connection without Collections cannot see.
    pub fn from_item(
        vb: Vbid,
        opaque: u32,
        item: &Item,
        format: &ItemFormat,
    ) -> Result<Self, WireError> {
        Command::from_item(item, format).map(|command| Self::new(vb, opaque, command))
    }

    /// Returns the item that a data message carries, with keys in the form `keys`.
    ///
    /// # Errors
    /// For messages without an item, malformed keys, and system events in FlatBuffers.
    pub fn to_item(&self, keys: KeyForm) -> Result<Item, WireError> {
        let opcode = self.command.opcode();
        let item = |operation, key| {
            keys.item_key(opcode, key)
                .map(|key| Item::new(operation, key))
        };
        match &self.command {
            Command::Mutation(message) => Ok(Item {
                seqno: message.seqno,
                cas: message.cas,
                rev_seqno: message.rev_seqno,
                flags: message.flags,
                expiry: message.expiry,
                datatype: message.datatype,
                value: Some(message.value.clone()),
                ..item(Operation::Mutation, &message.key)?
            }),
            Command::Deletion(message) => Ok(Item {
                seqno: message.seqno,
                cas: message.cas,
                rev_seqno: message.rev_seqno,
                expiry: message.delete_time.unwrap_or(0),
                datatype: message.datatype,
                value: some_bytes(&message.value),
                ..item(Operation::Deletion, &message.key)?
            }),
            Command::Expiration(message) => Ok(Item {
                seqno: message.seqno,
                cas: message.cas,
                rev_seqno: message.rev_seqno,
                expiry: message.delete_time,
                datatype: message.datatype,
                value: some_bytes(&message.value),
                ..item(Operation::Expiration, &message.key)?
            }),
            Command::Prepare(message) => Ok(Item {
                seqno: message.seqno,
                cas: message.cas,
                rev_seqno: message.rev_seqno,
                flags: message.flags,
                expiry: message.expiry,
                datatype: message.datatype,
                deleted: message.deleted,
                durability: Some(message.durability),
                value: if message.deleted {
                    some_bytes(&message.value)
                } else {
                    Some(message.value.clone())
                },
                ..item(Operation::Prepare, &message.key)?
            }),
            Command::Commit(message) => Ok(Item {
                seqno: message.seqno,
                prepare_seqno: message.prepare_seqno,
                ..item(Operation::Commit, &message.key)?
            }),
            Command::Abort(message) => Ok(Item {
                seqno: message.seqno,
                prepare_seqno: message.prepare_seqno,
                ..item(Operation::Abort, &message.key)?
            }),
            Command::SystemEvent(message) => message.to_item(),
            _ => Err(WireError::NotAnItem {
                opcode,
                what: "it has no operation",
            }),
        }
    }
}

fn some_bytes(value: &Bytes) -> Option<Bytes> {
    (!value.is_empty()).then(|| value.clone())
}

impl Command {
    /// Builds the command that carries `item`; see [`Request::from_item`].
    ///
    /// # Errors
    /// Same as [`Request::from_item`].
    pub(crate) fn from_item(item: &Item, format: &ItemFormat) -> Result<Self, WireError> {
        let refused = |what| WireError::NotSendable {
            operation: item.operation.name(),
            what,
        };
        if item.seqno == Seqno::ZERO {
            return Err(refused("it has no seqno"));
        }
        if !KNOWN_DATATYPES.contains(item.datatype) {
            return Err(refused("its datatype has unknown bits"));
        }
        if matches!(item.operation, Operation::Commit | Operation::Abort)
            && !(Seqno::ZERO < item.prepare_seqno && item.prepare_seqno < item.seqno)
        {
            return Err(refused("it does not name an earlier prepare"));
        }
        let value = item.value.clone().unwrap_or_default();
        let command = match item.operation {
            Operation::Mutation => Self::Mutation(Mutation {
                seqno: item.seqno,
                rev_seqno: item.rev_seqno,
                cas: item.cas,
                flags: item.flags,
                expiry: item.expiry,
                lock_time: 0,
                nru: 0,
                datatype: item.datatype,
                key: format.keys.wire_key(item)?,
                value,
            }),
            Operation::Expiration if format.expirations => Self::Expiration(Expiration {
                seqno: item.seqno,
                rev_seqno: item.rev_seqno,
                cas: item.cas,
                delete_time: item.expiry,
                datatype: item.datatype,
                key: format.keys.wire_key(item)?,
                value,
            }),
            Operation::Deletion | Operation::Expiration => Self::Deletion(Deletion {
                seqno: item.seqno,
                rev_seqno: item.rev_seqno,
                cas: item.cas,
                delete_time: match format.deletions {
                    DeletionForm::V1 => None,
                    DeletionForm::V2 => Some(0),
                    DeletionForm::V2WithTime => Some(item.expiry),
                },
                datatype: item.datatype,
                key: format.keys.wire_key(item)?,
                value,
            }),
            Operation::Prepare => Self::Prepare(Prepare {
                seqno: item.seqno,
                rev_seqno: item.rev_seqno,
                cas: item.cas,
                flags: item.flags,
                expiry: item.expiry,
                lock_time: 0,
                nru: 0,
                deleted: item.deleted,
                durability: item
                    .durability
                    .ok_or(refused("it has no durability level"))?,
                datatype: item.datatype,
                key: format.keys.wire_key(item)?,
                value,
            }),
            Operation::Commit => Self::Commit(Commit {
                prepare_seqno: item.prepare_seqno,
                seqno: item.seqno,
                key: format.keys.wire_key(item)?,
            }),
            Operation::Abort => Self::Abort(Abort {
                prepare_seqno: item.prepare_seqno,
                seqno: item.seqno,
                key: format.keys.wire_key(item)?,
            }),
            Operation::SystemEvent => {
                let event = system_event(item).ok_or(refused("its value is not a system event"))?;
                Self::SystemEvent(SystemEvent {
                    seqno: item.seqno,
                    event,
                })
            }
            Operation::SetVBucketState(_) => return Err(refused("it is not part of a stream")),
            _ => return Err(refused("it has no message in the protocol")),
        };
        Ok(command)
    }
}

/// Collection that holds system events. No document is in it.
const SYSTEM_COLLECTION: u32 = 1;
const COLLECTIONS: u8 = 0;
const SCOPES: u8 = 1;

impl SystemEvent {
    /// Returns the event as an item. Its key is in collection 1 and consists of the kind (0
    /// collection, 1 scope) and the u32 id. Its flags are the event's number. Its value is the
    /// layout's version, the layout, and the name.
    ///
    /// # Errors
    /// For events in FlatBuffers, whose ids are not read.
    pub fn to_item(&self) -> Result<Item, WireError> {
        let (kind, id) = match self.event {
            Event::CollectionCreated { collection, .. }
            | Event::CollectionDropped { collection, .. } => (COLLECTIONS, collection),
            Event::ScopeCreated { scope, .. } | Event::ScopeDropped { scope, .. } => {
                (SCOPES, scope)
            }
            Event::FlatBuffers { .. } => {
                let opcode = Opcode::DCP_SYSTEM_EVENT;
                return Err(WireError::NotAnItem {
                    opcode,
                    what: "events in FlatBuffers are not decoded",
                });
            }
        };
        let mut key = vec![kind];
        key.put_u32(id);
        let mut value = vec![self.event.version()];
        value.extend_from_slice(&self.event.value());
        value.extend_from_slice(&self.event.name());
        Ok(Item {
            seqno: self.seqno,
            flags: self.event.id(),
            value: Some(value.into()),
            ..Item::new(
                Operation::SystemEvent,
                Key::in_collection(SYSTEM_COLLECTION, &key),
            )
        })
    }
}

/// Returns the event in an item that [`SystemEvent::to_item`] made, or `None` for any other item.
#[must_use]
pub fn system_event(item: &Item) -> Option<Event> {
    if item.operation != Operation::SystemEvent {
        return None;
    }
    let value = item.value.as_ref()?;
    let mut fields = Reader::new(Opcode::DCP_SYSTEM_EVENT, Part::Value, value);
    let version = fields.u8().ok()?;
    let mut event = Event::from_fields(item.flags, version, &Bytes::new(), &mut fields).ok()??;
    let rest = value.slice(fields.consumed()..);
    match &mut event {
        Event::CollectionCreated { name, .. } | Event::ScopeCreated { name, .. }
            if !rest.is_empty() =>
        {
            *name = rest
        }
        Event::CollectionDropped { .. } | Event::ScopeDropped { .. } if rest.is_empty() => {}
        _ => return None,
    }
    Some(event)
}
