//! Damaged stores. Damage to acknowledged data is reported with its place, and nothing panics.

mod any_byte;
mod files;
mod frames;
mod mutated;
mod stores;
mod vbuckets;
