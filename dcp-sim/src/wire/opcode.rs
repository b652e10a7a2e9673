//! Command numbers and their names. An unknown number is kept unchanged.

use std::fmt;

/// Number of a command, equal in a request and its response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        impl Opcode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Returns the protocol's name, or `None` for a number without one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

opcodes! {
    /// A no-operation outside the change protocol.
    NOOP = 0x0a,
    /// The server's version, as text.
    VERSION = 0x0b,
    /// Statistics, one response each.
    STAT = 0x10,
    /// Negotiates features.
    HELLO = 0x1f,
    /// Names of the authentication mechanisms.
    SASL_LIST_MECHS = 0x20,
    /// Begins an authentication.
    SASL_AUTH = 0x21,
    /// Continues an authentication.
    SASL_STEP = 0x22,
    /// Sets a vBucket's state.
    SET_VBUCKET = 0x3d,
    /// High seqnos of all vBuckets.
    GET_ALL_VB_SEQNOS = 0x48,
    /// Turns the connection into one of the change protocol.
    DCP_OPEN = 0x50,
    /// Asks a consuming node to open a stream.
    DCP_ADD_STREAM = 0x51,
    /// Ends a stream at the client's request.
    DCP_CLOSE_STREAM = 0x52,
    /// Opens a stream of one vBucket.
    DCP_STREAM_REQ = 0x53,
    /// The branches of a vBucket's history.
    DCP_GET_FAILOVER_LOG = 0x54,
    /// Reports that the producer ended a stream.
    DCP_STREAM_END = 0x55,
    /// Announces a snapshot.
    DCP_SNAPSHOT_MARKER = 0x56,
    /// Sets a document.
    DCP_MUTATION = 0x57,
    /// Removes a document.
    DCP_DELETION = 0x58,
    /// Removes a document that expired.
    DCP_EXPIRATION = 0x59,
    /// Obsolete; neither sent nor accepted.
    DCP_FLUSH = 0x5a,
    /// Sets the state of the receiver's vBucket: a step of a takeover.
    DCP_SET_VBUCKET_STATE = 0x5b,
    /// Checks that the peer is alive.
    DCP_NOOP = 0x5c,
    /// Returns flow-control bytes.
    DCP_BUFFER_ACK = 0x5d,
    /// Sets one option of the connection.
    DCP_CONTROL = 0x5e,
    /// Reports that a collection or scope was created, changed or dropped.
    DCP_SYSTEM_EVENT = 0x5f,
    /// Prepares a durable write.
    DCP_PREPARE = 0x60,
    /// Acknowledges every prepare up to a seqno on a replica.
    DCP_SEQNO_ACK = 0x61,
    /// Commits a prepared write.
    DCP_COMMIT = 0x62,
    /// Aborts a prepared write.
    DCP_ABORT = 0x63,
    /// Advances the seqno without an item for this stream.
    DCP_SEQNO_ADVANCED = 0x64,
    /// Begins or ends a snapshot that is not in seqno order.
    DCP_OSO_SNAPSHOT = 0x65,
    /// Transfers cache contents to a new replica.
    DCP_CACHE_TRANSFER = 0x66,
    /// Ends the transfer of cache contents.
    DCP_CACHE_TRANSFER_END = 0x67,
    /// Selects the bucket.
    SELECT_BUCKET = 0x89,
    /// A vBucket's uuid and seqnos.
    OBSERVE_SEQNO = 0x91,
    /// Same as [`Opcode::DCP_GET_FAILOVER_LOG`], on a connection outside the change protocol.
    GET_FAILOVER_LOG = 0x96,
    /// The cluster's map, as JSON.
    GET_CLUSTER_CONFIG = 0xb5,
    /// Waits until a seqno is on disk.
    SEQNO_PERSISTENCE = 0xb7,
    /// The collections, as JSON.
    GET_COLLECTIONS_MANIFEST = 0xba,
    /// A collection's id.
    COLLECTIONS_GET_ID = 0xbb,
    /// Reads several paths of a document.
    SUBDOC_MULTI_LOOKUP = 0xd0,
    /// Changes several paths of a document.
    SUBDOC_MULTI_MUTATION = 0xd1,
    /// Names and attributes of the status codes, as JSON.
    GET_ERROR_MAP = 0xfe,
}

impl Opcode {
    /// Returns `true` if the number is in the change protocol's range.
    #[must_use]
    pub const fn is_dcp(self) -> bool {
        matches!(self.0, 0x50..=0x67)
    }

    /// Returns `true` if requests with it are part of a stream: sent by the producer, counted by
    /// flow control, and allowed to carry a stream id.
    #[must_use]
    pub const fn is_stream_message(self) -> bool {
        matches!(self.0, 0x55..=0x59 | 0x5b | 0x5f | 0x60 | 0x62..=0x67)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "command {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcode_without_name_keeps_its_number() {
        assert_eq!(Opcode::DCP_OPEN.to_string(), "DCP_OPEN");
        assert_eq!(Opcode(0xee).name(), None);
        assert_eq!(Opcode(0xee).to_string(), "command 0xee");
    }

    #[test]
    fn opcode_is_stream_message_only_if_producer_streams_it() {
        let streamed: Vec<u8> = (0..=255)
            .filter(|&code| Opcode(code).is_stream_message())
            .collect();
        let expected = [
            0x55, 0x56, 0x57, 0x58, 0x59, 0x5b, 0x5f, 0x60, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
        ];
        assert_eq!(streamed, expected);
    }
}
