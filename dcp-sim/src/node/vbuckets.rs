//! vBuckets of a node in memory: documents and collections.

mod completion;
mod observation;
mod partitions;
mod stored;

pub use observation::Observation;
pub use partitions::Partition;
pub(super) use partitions::PartitionTable;
pub use stored::Stored;
