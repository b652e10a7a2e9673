//! Followers of a vBucket with a store on a memory disk.

mod engines;
mod history;
mod model;
mod reader;
mod rollbacks;
mod sources;
mod throughput;
mod world;
