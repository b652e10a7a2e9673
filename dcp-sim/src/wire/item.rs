//! Items as a stream's messages, and back.
//!
//! | operation | message | lost on the way |
//! |---|---|---|
//! | mutation | mutation | |
//! | deletion | deletion | flags; the delete time where the connection has none |
//! | expiration | expiration, or deletion where the connection knows none | flags |
//! | prepare | prepare | |
//! | commit, abort | commit, abort | all but key and the two seqnos: the receiver has the prepare |
//! | system event | system event | CAS, revision, datatype |
//! | vBucket state | none | |
//!
//! Nothing says which items are history: the snapshot's marker does. A missing body and an empty one are the same on
//! the wire: mutations, and prepares of them, come back with an empty body, everything else with none.
//!
//! A system event's item is made by [`SystemEvent::to_item`]; its key names the collection or scope by its id, so
//! that a drop replaces its creation and nothing else.

use bytes::{BufMut, Bytes};
use lowtide_checkpoint::{Item, Key, Operation, Seqno, Vbid};

use super::body::{
    Abort, Commit, Deletion, Event, Expiration, KNOWN_DATATYPES, Mutation, Prepare, SystemEvent,
};
use super::error::{Part, WireError};
use super::fields::Reader;
use super::opcode::Opcode;
use super::request::{Command, Request};

/// How a connection's document keys look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// With their collection's prefix: the connection negotiated Collections.
    #[default]
    Collections,
    /// Without it: the connection sees the default collection only.
    Bare,
}

/// How a connection's deletions look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionForm {
    /// The first form: neither Collections nor delete times.
    V1,
    /// The second form, its time 0: Collections, but no delete times.
    V2,
    /// The second form with its time.
    #[default]
    V2WithTime,
}

/// What a connection negotiated about its items. The default is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemFormat {
    /// How keys look.
    pub keys: KeyForm,
    /// How deletions look.
    pub deletions: DeletionForm,
    /// Whether expirations are told apart from deletions.
    pub expirations: bool,
}

impl Default for ItemFormat {
    fn default() -> Self {
        Self {
            keys: KeyForm::Collections,
            deletions: DeletionForm::V2WithTime,
            expirations: true,
        }
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
                Err(refused("the connection sees the default collection only"))
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
    /// The message that tells `item` to a consumer, as a part of the stream that was requested with `opaque`.
    ///
    /// Values go as they are; leaving them or their attributes out, and showing commits to a client that knows no
    /// durable writes as the mutation or deletion they are, is done to the item before.
    ///
    /// # Errors
    /// For items without seqno or with an unknown datatype; vBucket states, which are no part of a stream; prepares
    /// without a level; commits and aborts that don't name an earlier prepare; system events that
    /// [`SystemEvent::to_item`] did not make; and keys that a connection without Collections can't see.
    pub fn from_item(
        vb: Vbid,
        opaque: u32,
        item: &Item,
        format: &ItemFormat,
    ) -> Result<Self, WireError> {
        Command::from_item(item, format).map(|command| Self::new(vb, opaque, command))
    }

    /// The item that a data message tells, on a connection with such keys.
    ///
    /// # Errors
    /// For messages that tell no item, malformed keys, and system events in FlatBuffers.
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
                what: "it tells no operation",
            }),
        }
    }
}

fn some_bytes(value: &Bytes) -> Option<Bytes> {
    (!value.is_empty()).then(|| value.clone())
}

impl Command {
    /// The command that tells `item`; see [`Request::from_item`].
    ///
    /// # Errors
    /// As there.
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
            return Err(refused("it names no earlier prepare"));
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
                let event = system_event(item).ok_or(refused("its value is no system event"))?;
                Self::SystemEvent(SystemEvent {
                    seqno: item.seqno,
                    event,
                })
            }
            Operation::SetVBucketState(_) => return Err(refused("it is no part of a stream")),
            _ => return Err(refused("the protocol has no message for it")),
        };
        Ok(command)
    }
}

/// The collection that holds system events; no document can be in it.
const SYSTEM_COLLECTION: u32 = 1;
const COLLECTIONS: u8 = 0;
const SCOPES: u8 = 1;

impl SystemEvent {
    /// The event as an item: its key is in collection 1 and made of the kind (0 collection, 1 scope) and the u32 id;
    /// its flags are the event's number; its value is the layout's version, the layout, and the name.
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
                    what: "events in FlatBuffers are not read",
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

/// The event in an item that [`SystemEvent::to_item`] made; `None` in any other.
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
