//! What the fuzz targets and the tests of hostile peers run: any bytes go in, and nothing comes out.
//!
//! The bytes say what a peer sends, whole messages and nonsense, and what happens on this side meanwhile. A breach of what always
//! holds is a panic here:
//!
//! - S26. Whatever a client sends, its producer goes on or ends the connection; it sends no more than flow control lets pass,
//!   items only inside the snapshot it announced, rising, and leaves no cursor behind.
//! - S27. Whatever a producer sends, the node that follows it goes on or ends the connection; its vBuckets pass their own
//!   audit, and nothing is applied outside a snapshot.

mod client;
mod client_messages;
mod consumer;
mod home;
mod input;
mod producer;

pub use consumer::consumer;
pub use producer::producer;
