//! The workspace's own sources, read as text: which code may import which, the shape of files and
//! modules, the words of comments, and the agreement of pages and code.

mod changelog;
mod features;
mod files;
mod invariants;
mod layers;
mod links;
mod locks;
mod map;
mod modules;
mod paths;
mod prose;
mod shape;
