//! Bodies of the commands: extras, key and value of each.

mod connection;
mod deletion;
mod mutation;
mod parts;
mod prepare;
mod resolution;
mod seqno;
mod snapshot_marker;
mod stream_end;
mod stream_request;
mod system_event;
mod vbucket_state;

pub(super) use connection::BufferAck;
pub use connection::{Control, Open, OpenFlags};
pub use deletion::{Deletion, Expiration};
pub use mutation::Mutation;
pub(super) use parts::{Body, KNOWN_DATATYPES, Parts};
pub use prepare::Prepare;
pub use resolution::{Abort, Commit};
pub(super) use seqno::{SeqnoAck, SeqnoAdvanced};
pub use snapshot_marker::{Marker, MarkerFlags, MarkerForm};
pub use stream_end::StreamEndReason;
pub use stream_request::{StreamRequest, StreamRequestFlags};
pub use system_event::{Event, SystemEvent};
