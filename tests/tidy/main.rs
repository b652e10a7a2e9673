//! The workspace's own sources, read as text: who may import whom, what a file looks like, and that documents and code
//! speak of the same things.

mod features;
mod files;
mod invariants;
mod layers;
mod modules;
mod paths;
mod shape;
