//! Command numbers. In: the header's second byte. Out: a name for it. An unknown number stays the number it is.

use std::fmt;

/// A command's number; the same in a request and in its response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u8);

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        impl Opcode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The protocol's name; `None` for a number without one here.
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
    /// Turns a connection into one of the change protocol.
    DCP_OPEN = 0x50,
    /// Tells a consuming node to open a stream.
    DCP_ADD_STREAM = 0x51,
    /// Ends a stream on the client's wish.
    DCP_CLOSE_STREAM = 0x52,
    /// Opens a stream of one vBucket.
    DCP_STREAM_REQ = 0x53,
    /// The branches of a vBucket's history.
    DCP_GET_FAILOVER_LOG = 0x54,
    /// The producer ended a stream.
    DCP_STREAM_END = 0x55,
    /// Announces a snapshot.
    DCP_SNAPSHOT_MARKER = 0x56,
    /// A document was set.
    DCP_MUTATION = 0x57,
    /// A document was removed.
    DCP_DELETION = 0x58,
    /// A document's time had come.
    DCP_EXPIRATION = 0x59,
    /// Obsolete: nobody sends or takes it any more.
    DCP_FLUSH = 0x5a,
    /// A takeover's step: the receiver's vBucket gets that state.
    DCP_SET_VBUCKET_STATE = 0x5b,
    /// Asks for a sign of life.
    DCP_NOOP = 0x5c,
    /// Gives flow-control bytes back.
    DCP_BUFFER_ACK = 0x5d,
    /// Sets one option of the connection.
    DCP_CONTROL = 0x5e,
    /// A collection or scope came, changed or went.
    DCP_SYSTEM_EVENT = 0x5f,
    /// First half of a durable write.
    DCP_PREPARE = 0x60,
    /// A replica has everything up to that prepare.
    DCP_SEQNO_ACK = 0x61,
    /// The prepared write happened.
    DCP_COMMIT = 0x62,
    /// The prepared write did not happen.
    DCP_ABORT = 0x63,
    /// The seqno moved on without an item for this stream.
    DCP_SEQNO_ADVANCED = 0x64,
    /// Begins or ends a snapshot that is not in seqno order.
    DCP_OSO_SNAPSHOT = 0x65,
    /// Cache contents for a new replica.
    DCP_CACHE_TRANSFER = 0x66,
    /// The end of those.
    DCP_CACHE_TRANSFER_END = 0x67,
    /// Selects the bucket.
    SELECT_BUCKET = 0x89,
    /// A vBucket's uuid and seqnos.
    OBSERVE_SEQNO = 0x91,
    /// As [`Opcode::DCP_GET_FAILOVER_LOG`], on a connection that is not of the change protocol.
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
    /// Whether the number is in the change protocol's range.
    #[must_use]
    pub const fn is_dcp(self) -> bool {
        matches!(self.0, 0x50..=0x67)
    }

    /// Whether requests with it are part of a stream: sent by the producer, counted by flow control, and allowed
    /// to carry a stream id.
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
    fn unknown_numbers_stay_numbers() {
        assert_eq!(Opcode::DCP_OPEN.to_string(), "DCP_OPEN");
        assert_eq!(Opcode(0xee).name(), None);
        assert_eq!(Opcode(0xee).to_string(), "command 0xee");
    }

    #[test]
    fn only_what_a_producer_streams_is_a_stream_message() {
        let streamed: Vec<u8> = (0..=255)
            .filter(|&code| Opcode(code).is_stream_message())
            .collect();
        let expected = [
            0x55, 0x56, 0x57, 0x58, 0x59, 0x5b, 0x5f, 0x60, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
        ];
        assert_eq!(streamed, expected);
    }
}
