//! The log files of a directory: they are opened and counted, and files that a crash left
//! unfinished are removed.

use std::sync::Arc;

use crate::contract::{EngineError, RecoveryReport};
use crate::disk::Access;
use crate::logstor::config::Geometry;
use crate::logstor::log::{LogFile, SegmentTable, StoreContext};

/// Opens the log files, in order. Returns them, and the number of their segments.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if one is missing, or has an impossible length.
pub(super) fn open_log_files(
    context: &StoreContext,
    geometry: Geometry,
    is_new: bool,
    report: &mut RecoveryReport,
) -> Result<(Vec<Arc<LogFile>>, u32), EngineError> {
    let names = context.disk.list(&context.dir)?;
    let is_unfinished = |name: &&String| {
        let finished = name.strip_suffix(".new");
        finished.and_then(SegmentTable::file_number).is_some()
    };
    for name in names.iter().filter(is_unfinished) {
        let path = context.dir.join(name);
        context.disk.remove(&path)?;
        report.repairs.push((
            path,
            "removed a log file that was never finished".to_owned(),
        ));
    }
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| SegmentTable::file_number(name))
        .collect();
    // Sorted by name, file 100,000,000 would precede file 2.
    numbers.sort_unstable();
    let corrupt = |name: &str, what: &str| EngineError::Corrupt {
        path: context.dir.join(name),
        offset: 0,
        what: what.to_owned(),
    };
    if let (true, Some(&number)) = (is_new, numbers.first()) {
        let name = SegmentTable::file_name(number);
        return Err(corrupt(&name, "a log file without a manifest"));
    }
    let mut files = Vec::with_capacity(numbers.len());
    let mut total = 0_u32;
    for (number, found) in (0_u32..).zip(numbers) {
        let name = &SegmentTable::file_name(found);
        if found != number {
            return Err(corrupt(name, "a log file before this one is missing"));
        }
        if total != number.saturating_mul(geometry.segments_per_file) {
            return Err(corrupt(name, "the log file before this one is too short"));
        }
        let path = context.dir.join(name);
        let file = context.disk.open(&path, Access::ReadWrite)?;
        let len = file.len()?;
        let segment_bytes = u64::from(geometry.segment_bytes);
        let segments_max = geometry.segments_per_file;
        if len % segment_bytes != 0 {
            let what = format!(
                "log file length {len} is not a multiple of the segment size {segment_bytes}"
            );
            return Err(corrupt(name, &what));
        }
        let segments = u32::try_from(len / segment_bytes)
            .ok()
            .filter(|segments| (1..=segments_max).contains(segments))
            .ok_or_else(|| {
                let what = format!(
                    "log file length {len} is not that of 1 to {segments_max} segments of \
                     {segment_bytes} bytes"
                );
                corrupt(name, &what)
            })?;
        // A longer log would have segments without a number.
        total = total
            .checked_add(segments)
            .ok_or_else(|| corrupt(name, "a segment beyond the last number"))?;
        files.push(Arc::new(context.log_file(file, path)));
    }
    Ok((files, total))
}
