//! An empty store of each engine, on a memory disk.

use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;
use lowtide_persistence::Engine;
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::logstor::{Logstor, LogstorConfig};

pub(crate) const VB: Vbid = Vbid(7);

/// The engine of a world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Couchstore,
    Logstor,
}

pub(crate) fn engine(kind: Kind) -> Box<dyn Engine> {
    let (disk, dir) = (MemoryDisk::new(), Path::new("/store"));
    disk.create_dir(dir).expect("an empty disk");
    let disk = Arc::new(disk);
    let engine: Box<dyn Engine> = match kind {
        Kind::Couchstore => {
            let opened = Couchstore::open(disk, dir, CouchstoreConfig::default());
            Box::new(opened.expect("a sound store").0)
        }
        Kind::Logstor => {
            let config = LogstorConfig::new([1, 2])
                .with_segment_bytes(64 << 10)
                .with_file_bytes(256 << 10)
                .with_disk_bytes(64 * (64 << 10));
            Box::new(Logstor::open(disk, dir, config).expect("a sound store").0)
        }
    };
    engine.create(VB).expect("an empty store");
    engine
}
