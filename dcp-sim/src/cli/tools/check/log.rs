//! `dcp-sim check` of a log store's directory.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use lowtide_persistence::disk::OsDisk;
use lowtide_persistence::logstor::{LogCheckReport, check_store};
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::tools::log_store::{self, JsonFinding, Watch};
use crate::cli::tools::store::SCHEMA;
use crate::report::units;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'static str,
    engine: &'static str,
    path: String,
    sound: bool,
    vbuckets: u64,
    segments: u64,
    frames: u64,
    records: u64,
    items: u64,
    file_bytes: u64,
    images: u64,
    repairs: &'a [String],
    findings: &'a [JsonFinding],
    findings_left_out: u64,
}

pub(in crate::cli) fn check(path: &Path, json: bool, out: &mut Output) -> Result<Exit, Failure> {
    let mut watch = Watch::new();
    let result = check_store(Arc::new(OsDisk::new()), path, &mut watch);
    watch.bar.finish_and_clear();
    let report = result.map_err(log_store::failure)?;
    let sound = watch.damage == 0;
    if json {
        let document = Document {
            schema: SCHEMA,
            command: "check",
            engine: "logstor",
            path: path.display().to_string(),
            sound,
            vbuckets: report.vbuckets,
            segments: report.segments,
            frames: report.frames,
            records: report.records,
            items: report.items,
            file_bytes: report.file_bytes,
            images: report.images,
            repairs: &report.repairs,
            findings: &watch.kept,
            findings_left_out: watch.left_out,
        };
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        for line in &watch.lines {
            writeln!(out, "{line}")?;
        }
        if watch.left_out > 0 {
            writeln!(
                out,
                "and {}",
                units::things(watch.left_out, "more finding", "more findings")
            )?;
        }
        for repair in &report.repairs {
            writeln!(out, "opening the store will repair {repair}")?;
        }
        writeln!(out, "{}: {}", path.display(), verdict(&report, sound))?;
    }
    Ok(if sound { Exit::Ok } else { Exit::Corrupt })
}

fn verdict(report: &LogCheckReport, sound: bool) -> String {
    format!(
        "{}: {}, {}, {}, {} in {} of {}",
        if sound { "sound" } else { "DAMAGED" },
        units::things(report.vbuckets, "vBucket", "vBuckets"),
        units::things(
            report.items,
            "document or tombstone",
            "documents and tombstones"
        ),
        units::things(report.records, "record", "records"),
        units::things(report.frames, "frame", "frames"),
        units::things(report.segments, "segment", "segments"),
        units::bytes(report.file_bytes),
    )
}
