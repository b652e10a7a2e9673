//! Reads: the cache and reading ahead return what the file holds, and the map of a file adds up.

mod layout;
mod node_cache;
mod read_ahead;
