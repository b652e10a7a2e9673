//! The storage of a directory: its file system, bytes read and written, sizes; and the dropping of
//! cached pages.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;

/// Bytes of a sector in the kernel's statistics, independent of the device.
const SECTOR_BYTES: u64 = 512;

/// Counters of bytes written.
#[derive(Clone, Copy)]
pub struct Written {
    /// Bytes of this process, as the kernel accounts them: whole pages that were dirtied.
    accounted: f64,
    /// Bytes to the device, from every process; NaN if it has no statistics.
    device: f64,
}

impl Written {
    pub fn now(dir: &Path) -> Self {
        let accounted = own_io("write_bytes: ") as f64;
        Self {
            accounted,
            device: device_bytes(dir).unwrap_or(f64::NAN),
        }
    }

    /// Returns the accounted and device bytes since `before`, for each of `bytes`.
    pub fn since(self, before: Self, bytes: u64) -> [f64; 2] {
        [
            (self.accounted - before.accounted) / bytes as f64,
            (self.device - before.device) / bytes as f64,
        ]
    }
}

/// Returns the bytes that this process has fetched from devices.
pub fn fetched_bytes() -> u64 {
    own_io("read_bytes: ")
}

/// Waits until this process has written nothing for a second, when its background work is done; at
/// most a minute.
pub fn settle() {
    let mut before = own_io("write_bytes: ");
    for _ in 0..60 {
        std::thread::park_timeout(Duration::from_secs(1));
        let now = own_io("write_bytes: ");
        if std::mem::replace(&mut before, now) == now {
            return;
        }
    }
}

fn own_io(field: &str) -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("Linux has it");
    let value = io.lines().find_map(|line| line.strip_prefix(field));
    value
        .and_then(|bytes| bytes.parse().ok())
        .expect("a number")
}

/// Returns the most KiB that the kernel reads ahead of a sequential reader; NaN if it is unknown.
pub fn read_ahead_kib(dir: &Path) -> f64 {
    let Some(device) = device(dir) else {
        return f64::NAN;
    };
    // A partition has the setting of its whole device.
    let said = ["queue/read_ahead_kb", "../queue/read_ahead_kb"]
        .map(|name| fs::read_to_string(device.join(name)));
    said.into_iter()
        .flatten()
        .find_map(|kib| kib.trim().parse().ok())
        .unwrap_or(f64::NAN)
}

/// Returns the directory of a device's statistics, for the device that `dir` is on.
fn device(dir: &Path) -> Option<PathBuf> {
    let device = fs::metadata(dir).ok()?.dev();
    let major = device >> 8 & 0xfff;
    let minor = device & 0xff | device >> 12 & 0xfff00;
    Some(PathBuf::from(format!("/sys/dev/block/{major}:{minor}")))
}

fn device_bytes(dir: &Path) -> Option<f64> {
    let statistics = fs::read_to_string(device(dir)?.join("stat")).ok()?;
    let sectors: u64 = statistics.split_whitespace().nth(6)?.parse().ok()?;
    Some((sectors * SECTOR_BYTES) as f64)
}

/// Returns the directory, created if it is missing.
pub fn made(dir: &Path) -> PathBuf {
    fs::create_dir_all(dir).expect("can be made");
    dir.canonicalize().expect("made")
}

/// Creates a new directory in `dir`, for one store.
pub fn new_dir(dir: &Path) -> TempDir {
    tempfile::Builder::new()
        .prefix("store-")
        .tempdir_in(dir)
        .expect("can be made")
}

/// Returns the file system of a directory, and the device that it is on.
pub fn file_system(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let above = fields.filter(|fields| fields.len() > 2 && dir.starts_with(fields[1]));
    let nearest = above.max_by_key(|fields| fields[1].len());
    nearest.map_or_else(
        || "unknown".to_owned(),
        |fields| format!("{} on {}", fields[2], fields[0]),
    )
}

/// Returns the bytes that the files in a directory take on disk.
pub fn allocated_bytes(dir: &Path) -> u64 {
    files(dir)
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|file| file.blocks() * 512)
        .sum()
}

/// Drops the system's cached pages of the files in a directory.
pub fn forget_cached(dir: &Path) {
    for path in files(dir) {
        // The engine may have removed the file concurrently.
        let Ok(file) = File::open(path) else { continue };
        // Only pages that are on disk can be dropped.
        file.sync_all().expect("syncs");
        fadvise(&file, 0, None, Advice::DontNeed).expect("a hint");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(&path))
        } else {
            files.push(path)
        }
    }
    files
}
