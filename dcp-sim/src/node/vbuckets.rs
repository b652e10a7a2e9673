//! vBuckets of a node in memory: documents, collections and prepares.

mod documents;
mod observation;
mod partitions;
mod prepares;
mod stored;

pub use documents::{Document, Documents};
pub use observation::Observation;
pub use partitions::Partition;
pub(super) use partitions::PartitionTable;
pub use stored::Stored;
