//! Streams between nodes: a replica ends equal to its active, whichever bytes are cut, held back or
//! lost, and every defect is noticed.

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
