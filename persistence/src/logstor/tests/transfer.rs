//! Transfers: vBuckets between stores, and whole stores.

mod copying;
mod moving;
