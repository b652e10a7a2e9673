//! The producer of one connection: requests in, messages of its streams out.

mod producer;
mod requests;
mod round_robin;
mod stream_request;

pub use producer::Producer;
