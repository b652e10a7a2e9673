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
    for name in names
        .iter()
        .filter(|name| name.starts_with("log-") && name.ends_with(".new"))
    {
        let path = context.dir.join(name);
        context.disk.remove(&path)?;
        report.repairs.push((
            path,
            "removed a log file that was never finished".to_owned(),
        ));
    }
    let mut names: Vec<_> = names
        .into_iter()
        .filter(|name| name.starts_with("log-") && !name.ends_with(".new"))
        .collect();
    names.sort_unstable();
    let corrupt = |name: &str, what: &str| EngineError::Corrupt {
        path: context.dir.join(name),
        offset: 0,
        what: what.to_owned(),
    };
    if let (true, Some(name)) = (is_new, names.first()) {
        return Err(corrupt(name, "a log file without a manifest beside it"));
    }
    let (mut files, mut total) = (Vec::with_capacity(names.len()), 0_u32);
    for (number, name) in (0_u32..).zip(&names) {
        if *name != SegmentTable::file_name(number) {
            return Err(corrupt(name, "a log file before this one is missing"));
        }
        if total != number.saturating_mul(geometry.segments_per_file) {
            return Err(corrupt(name, "the log file before this one is too short"));
        }
        let path = context.dir.join(name);
        let file = context.disk.open(&path, Access::ReadWrite)?;
        let (len, segment_bytes) = (file.len()?, u64::from(geometry.segment_bytes));
        let segments = len / segment_bytes;
        if len % segment_bytes != 0 || segments == 0 || segments > geometry.segments_per_file.into()
        {
            return Err(corrupt(name, "the length is none of a log file"));
        }
        // A longer log would have segments without a number.
        total = total
            .checked_add(segments as u32)
            .ok_or_else(|| corrupt(name, "a segment beyond the last number"))?;
        files.push(Arc::new(context.log_file(file, path)));
    }
    Ok((files, total))
}
