//! Status codes of responses and their names. An unknown code is kept unchanged.
//!
//! Source: kv_engine, `docs/BinaryProtocol.md`, "Response Status".

use std::fmt;

/// Outcome of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Returns a short description, or `None` for a code without one.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// The request succeeded.
    SUCCESS = 0x00 "success",
    /// The key does not exist. In answer to a close, or from a consumer: no such stream.
    NOT_FOUND = 0x01 "not found",
    /// The stream is open already. From a consumer: the opaque belongs to another stream.
    EXISTS = 0x02 "exists",
    /// A key, value or number exceeds the storage limits.
    TOO_BIG = 0x03 "too big",
    /// The request is malformed or not allowed.
    INVALID = 0x04 "invalid arguments",
    /// The node does not serve the vBucket.
    NOT_MY_VBUCKET = 0x07 "not my vBucket",
    /// No such stream, on a connection that enabled `v7_dcp_status_codes`.
    STREAM_NOT_FOUND = 0x0a "stream not found",
    /// The opaque belongs to another stream, on a connection that enabled `v7_dcp_status_codes`.
    OPAQUE_MISMATCH = 0x0b "opaque does not match",
    /// The authentication failed.
    AUTH_ERROR = 0x20 "authentication failed",
    /// The authentication has another step.
    AUTH_CONTINUE = 0x21 "authentication continues",
    /// A seqno outside the possible range.
    RANGE = 0x22 "out of range",
    /// The client's history differs from the vBucket's. The body is the seqno to roll back to.
    ROLLBACK = 0x23 "rollback",
    /// The user lacks the privilege.
    ACCESS = 0x24 "no access",
    /// No such command.
    UNKNOWN_COMMAND = 0x81 "unknown command",
    /// Not enough memory.
    OUT_OF_MEMORY = 0x82 "out of memory",
    /// Not supported, or not supported on this connection.
    NOT_SUPPORTED = 0x83 "not supported",
    /// Failed for now; a retry may succeed.
    TEMPORARY_FAILURE = 0x86 "temporary failure",
    /// No such collection.
    UNKNOWN_COLLECTION = 0x88 "unknown collection",
    /// No such scope.
    UNKNOWN_SCOPE = 0x8c "unknown scope",
    /// A stream id is missing, unexpected or 0.
    STREAM_ID_INVALID = 0x8d "stream id invalid",
}

impl Status {
    /// Returns `true` for [`Status::SUCCESS`].
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "{text} ({:#04x})", self.0),
            None => write!(f, "status {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
