//! The producer of one connection: handles requests, schedules streams and collects the bytes to
//! send.

mod producer;
mod ready_queue;
mod requests;
mod round_robin;
mod stream_request;

pub use producer::Producer;
