//! Events as bytes, so that a follower of a store in one process feeds a replica in another.
//!
//! ```text
//! frame    message bytes u32 | vBucket u16 | CRC-32C u32 of both | message
//! message  version u8 | tag u8 | fields of the event | CRC-32C u32 of everything before
//! ```
//!
//! A transport that keeps messages apart carries messages. A stream of bytes carries frames. The page
//! `docs/formats/delivery.md` has every field.
//!
//! # Invariants
//!
//! - S39. Every event survives the round trip. The decoder takes any bytes, never panics, and refuses
//!   whatever no encoder writes: unknown versions, tags, codes and bits, bytes that are left over. It
//!   uses memory in proportion to the bytes that have arrived, whatever lengths they state.

mod error;
mod fields;
mod frame;
mod item;
mod message;

pub use error::DeliveryError;
