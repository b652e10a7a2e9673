//! Reads: cached blocks, visits of rows, and the highest seqnos of collections.

mod block_cache;
mod collections;
mod visit;
