//! What a node has of its vBuckets in memory: documents, collections, prepares.

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
