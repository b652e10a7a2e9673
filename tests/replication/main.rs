//! Streams between nodes: however bytes are cut, held back or lost with a connection, a replica ends as its active is,
//! and what would be wrong is noticed.

mod broken;
mod copies;
mod faults;
mod hostile;
mod known_bugs;
mod pair;
mod resume;
mod seeds;
mod shape;
mod shapes;
mod splits;
mod stream_model;
mod swarm;
mod takeover;
