//! The hash key of the log stores that the simulator and scripts make.
//!
//! A log store's key keeps clients from crafting keys and values that collide, as long as it is
//! secret. This one is published: a run must be repeated exactly, and no stranger chooses its keys
//! and values.

/// Key of every log store that this crate makes.
pub(crate) const PUBLISHED_HASH_KEY: [u64; 2] = [0x6c6f_7774_6964_6531, 0x6c6f_6773_746f_7232];
