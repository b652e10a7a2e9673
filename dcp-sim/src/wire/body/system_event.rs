//! Creation, change and removal of collections and scopes, in the vBucket's order.
//!
//! DCP_SYSTEM_EVENT is sent by the producer and not answered. Extras: u64 seqno, u32 event, u8
//! version. The name is the key.
//!
//! | event | version | key | value |
//! |---|---|---|---|
//! | 0 collection created | 0 | name | u64 manifest uid, u32 scope, u32 collection |
//! | | 1 | name | as version 0, then u32 maximum time to live in seconds |
//! | 1 collection dropped | 0 | | u64 manifest uid, u32 scope, u32 collection |
//! | 3 scope created | 0 | name | u64 manifest uid, u32 scope |
//! | 4 scope dropped | 0 | | u64 manifest uid, u32 scope |
//! | any of these, 5 collection changed | 2 | | FlatBuffers |
//!
//! Version 2 is sent only to a client that asked for it (`flatbuffers_system_events`). Its content
//! is passed on undecoded.
//!
//! Source: kv_engine, `docs/dcp/documentation/commands/system_event.md`.

use bytes::{BufMut, Bytes};
use lowtide_checkpoint::{Datatype, Seqno};

use super::parts::{Body, Parts};
use crate::wire::error::{Part, WireError};
use crate::wire::fields::{Extras, Reader};
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

/// An event of a collection or scope, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemEvent {
    /// Position in the vBucket's order.
    pub seqno: Seqno,
    /// The event.
    pub event: Event,
}

/// An event of a collection or scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A collection was created.
    CollectionCreated {
        /// Uid of the manifest that the event completes.
        manifest_uid: u64,
        /// Its scope.
        scope: u32,
        /// Its id.
        collection: u32,
        /// Longest life of a document in it in seconds; `None` if unspecified.
        max_ttl: Option<u32>,
        /// Its name, not empty.
        name: Bytes,
    },
    /// A collection and all its documents were dropped.
    CollectionDropped {
        /// Uid of the manifest that the event completes.
        manifest_uid: u64,
        /// Its scope.
        scope: u32,
        /// Its id.
        collection: u32,
    },
    /// A scope was created.
    ScopeCreated {
        /// Uid of the manifest that the event completes.
        manifest_uid: u64,
        /// Its id.
        scope: u32,
        /// Its name, not empty.
        name: Bytes,
    },
    /// A scope was dropped.
    ScopeDropped {
        /// Uid of the manifest that the event completes.
        manifest_uid: u64,
        /// Its id.
        scope: u32,
    },
    /// Any event, in FlatBuffers.
    FlatBuffers {
        /// Number of the event.
        id: u32,
        /// Format of the value.
        datatype: Datatype,
        /// Its key, which may be empty.
        name: Bytes,
        /// The buffer.
        value: Bytes,
    },
}

const COLLECTION_CREATED: u32 = 0;
const COLLECTION_DROPPED: u32 = 1;
const SCOPE_CREATED: u32 = 3;
const SCOPE_DROPPED: u32 = 4;
const COLLECTION_CHANGED: u32 = 5;

impl Event {
    /// Returns the protocol's number of the event.
    #[must_use]
    pub const fn id(&self) -> u32 {
        match self {
            Self::CollectionCreated { .. } => COLLECTION_CREATED,
            Self::CollectionDropped { .. } => COLLECTION_DROPPED,
            Self::ScopeCreated { .. } => SCOPE_CREATED,
            Self::ScopeDropped { .. } => SCOPE_DROPPED,
            Self::FlatBuffers { id, .. } => *id,
        }
    }

    /// Returns the version of its layout.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match self {
            Self::CollectionCreated {
                max_ttl: Some(_), ..
            } => 1,
            Self::FlatBuffers { .. } => 2,
            _ => 0,
        }
    }

    /// Returns the name, or an empty one for an event without name.
    #[must_use]
    pub fn name(&self) -> Bytes {
        match self {
            Self::CollectionCreated { name, .. }
            | Self::ScopeCreated { name, .. }
            | Self::FlatBuffers { name, .. } => name.clone(),
            Self::CollectionDropped { .. } | Self::ScopeDropped { .. } => Bytes::new(),
        }
    }

    /// Returns the bytes of the value.
    pub(in crate::wire) fn value(&self) -> Bytes {
        let mut fields = Vec::with_capacity(20);
        match *self {
            Self::CollectionCreated {
                manifest_uid,
                scope,
                collection,
                max_ttl,
                ..
            } => {
                fields.put_u64(manifest_uid);
                fields.put_u32(scope);
                fields.put_u32(collection);
                if let Some(seconds) = max_ttl {
                    fields.put_u32(seconds);
                }
            }
            Self::CollectionDropped {
                manifest_uid,
                scope,
                collection,
            } => {
                fields.put_u64(manifest_uid);
                fields.put_u32(scope);
                fields.put_u32(collection);
            }
            Self::ScopeCreated {
                manifest_uid,
                scope,
                ..
            }
            | Self::ScopeDropped {
                manifest_uid,
                scope,
            } => {
                fields.put_u64(manifest_uid);
                fields.put_u32(scope);
            }
            Self::FlatBuffers { ref value, .. } => return value.clone(),
        }
        fields.into()
    }

    /// Builds an event of version 0 or 1. Returns `None` if the version has no such event.
    pub(in crate::wire) fn from_fields(
        id: u32,
        version: u8,
        name: &Bytes,
        value: &mut Reader<'_>,
    ) -> Result<Option<Self>, WireError> {
        let name = name.clone();
        let event = match (id, version) {
            (COLLECTION_CREATED, 0 | 1) => Self::CollectionCreated {
                manifest_uid: value.u64()?,
                scope: value.u32()?,
                collection: value.u32()?,
                max_ttl: if version == 1 {
                    Some(value.u32()?)
                } else {
                    None
                },
                name,
            },
            (COLLECTION_DROPPED, 0) => Self::CollectionDropped {
                manifest_uid: value.u64()?,
                scope: value.u32()?,
                collection: value.u32()?,
            },
            (SCOPE_CREATED, 0) => Self::ScopeCreated {
                manifest_uid: value.u64()?,
                scope: value.u32()?,
                name,
            },
            (SCOPE_DROPPED, 0) => Self::ScopeDropped {
                manifest_uid: value.u64()?,
                scope: value.u32()?,
            },
            _ => return Ok(None),
        };
        Ok(Some(event))
    }
}

impl Body for SystemEvent {
    const OPCODE: Opcode = Opcode::DCP_SYSTEM_EVENT;

    fn read(frame: &Frame) -> Result<Self, WireError> {
        let mut extras = frame.extras_fields();
        let seqno = frame.operation_seqno(extras.u64()?)?;
        let id = extras.u32()?;
        let version = extras.u8()?;
        extras.finish()?;
        let named = match id {
            COLLECTION_CREATED | SCOPE_CREATED | COLLECTION_CHANGED => true,
            COLLECTION_DROPPED | SCOPE_DROPPED => false,
            id => return Err(frame.bad("system event", id)),
        };
        if version == 2 {
            let datatype = frame.document_datatype()?;
            let event = Event::FlatBuffers {
                id,
                datatype,
                name: frame.key.clone(),
                value: frame.some_value()?,
            };
            return Ok(Self { seqno, event });
        }
        frame.raw()?;
        if named && frame.key.is_empty() {
            return Err(WireError::Missing {
                opcode: frame.opcode,
                part: Part::Key,
            });
        } else if !named {
            frame.no_key()?;
        }
        let mut value = frame.value_fields();
        let event = Event::from_fields(id, version, &frame.key, &mut value)?
            .ok_or_else(|| frame.bad("system event version", version))?;
        value.finish()?;
        Ok(Self { seqno, event })
    }

    fn write(&self, parts: &mut Parts) {
        parts.extras = Extras::new()
            .u64(self.seqno.0)
            .u32(self.event.id())
            .u8(self.event.version());
        if let Event::FlatBuffers { datatype, .. } = self.event {
            parts.datatype = datatype;
        }
        parts.key = self.event.name();
        parts.value = self.event.value();
    }
}
