//! Small stores on memory disks: their configuration, their files, their images and their jobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::{Budget, EngineError, EnginePoint, Job, JobProgress, RecoveryReport};
use crate::disk::{Access, Disk, MemoryDisk};
use crate::logstor::{Logstor, LogstorConfig};

/// Key of every store of these tests.
pub(in crate::logstor) const HASH_KEY: [u64; 2] = [0x6c6f_7774_6964_6531, 0x6c6f_6773_746f_7232];

/// Small segments in small files, which fill after few commits; no images.
pub(in crate::logstor) const SMALL: LogstorConfig = LogstorConfig {
    segment_bytes: 64 << 10,
    file_bytes: 256 << 10,
    disk_bytes: 64 * (64 << 10),
    mixed_segments_max: 2,
    image_bytes: 1 << 40,
    // A cache of few blocks, which evicts often.
    cache_bytes: 8 << 12,
    ..LogstorConfig::new(HASH_KEY)
};

/// Same as [`SMALL`], with an image due after every append.
pub(in crate::logstor) const IMAGES: LogstorConfig = LogstorConfig {
    image_bytes: 0,
    image_percent: u32::MAX,
    ..SMALL
};

pub(in crate::logstor) fn dir() -> PathBuf {
    PathBuf::from("/store")
}

pub(in crate::logstor) fn log_path(number: u32) -> PathBuf {
    Path::new("/store").join(format!("log-{number:08}"))
}

pub(in crate::logstor) fn open_with(
    disk: &(impl Disk + Clone + 'static),
    config: LogstorConfig,
) -> Result<(Logstor, RecoveryReport), EngineError> {
    Logstor::open(Arc::new(disk.clone()), &dir(), config)
}

pub(in crate::logstor) fn open(
    disk: &(impl Disk + Clone + 'static),
) -> Result<(Logstor, RecoveryReport), EngineError> {
    open_with(disk, SMALL)
}

pub(in crate::logstor) const STEP: Budget = Budget {
    items: 16,
    bytes: 16 << 10,
};

/// Runs a job to its end. Returns the points it reached.
pub(in crate::logstor) fn run(mut job: Box<dyn Job>) -> Result<Vec<EnginePoint>, EngineError> {
    let mut points = Vec::new();
    loop {
        match job.step(STEP)? {
            JobProgress::Working { .. } | JobProgress::Ahead => {}
            JobProgress::Reached(point) => points.push(point),
            JobProgress::Done(_) => return Ok(points),
        }
    }
}

/// Makes an image, if anything was appended since the last one.
pub(in crate::logstor) fn make_image(engine: &Logstor) -> Result<(), EngineError> {
    engine
        .maintenance
        .image_job()
        .map_or(Ok(()), |job| run(job).map(drop))
}

/// Returns everything a store knows once it is loaded, as text to compare.
pub(in crate::logstor) fn dump(engine: &Logstor) -> String {
    engine.store.registry.load_all().expect("readable");
    let vbuckets: String = engine
        .store
        .registry
        .vbuckets
        .read()
        .values()
        .map(|vbucket| vbucket.dump())
        .collect();
    engine.store.log.segments.dump() + &vbuckets
}

/// Renames the images to hidden names, or back. Returns their number.
pub(in crate::logstor) fn hide_images(disk: &impl Disk, is_hidden: bool) -> usize {
    let (from, to) = if is_hidden {
        ("index-", "hidden-")
    } else {
        ("hidden-", "index-")
    };
    let names = disk.list(&dir()).expect("there");
    let images: Vec<_> = names
        .iter()
        .filter_map(|name| Some((name, name.strip_prefix(from)?)))
        .collect();
    for (name, number) in &images {
        disk.rename(&dir().join(name), &dir().join(format!("{to}{number}")))
            .expect("renamed");
    }
    disk.sync_dir(&dir()).expect("synced");
    images.len()
}

/// Returns a disk with the same files, all of them durable.
pub(in crate::logstor) fn fork(disk: &impl Disk) -> MemoryDisk {
    let copy = MemoryDisk::new();
    copy.create_dir(&dir()).expect("made");
    for name in disk.list(&dir()).expect("there") {
        let path = dir().join(name);
        let from = disk.open(&path, Access::ReadOnly).expect("there");
        let mut bytes = vec![0; from.len().expect("known") as usize];
        from.read_at(&mut bytes, 0).expect("read");
        let to = copy.create(&path).expect("made");
        to.write_at(&[&bytes], 0).expect("written");
        to.sync_data().expect("synced");
    }
    copy.sync_dir(&dir()).expect("synced");
    copy
}

/// Replaces one byte of a file by a function of it.
pub(in crate::logstor) fn change_byte(
    disk: &MemoryDisk,
    path: &Path,
    offset: u64,
    to: impl Fn(u8) -> u8,
) {
    let file = disk.open(path, Access::ReadWrite).expect("there");
    let mut byte = [0];
    file.read_at(&mut byte, offset).expect("read");
    file.write_at(&[&[to(byte[0])]], offset).expect("written");
}
