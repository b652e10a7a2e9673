//! `dcp-sim inspect` of a log store's directory: segments, vBuckets, and the effects of opening it.

use std::io::{self, Write};

use lowtide_persistence::logstor::LogLayout;

use super::arguments::InspectArguments;
use super::log_figures::{ImageFigures, LogDocument, SegmentFigures, VBucketFigures};
use super::log_render;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::tools::log_store::{self, Watch};
use crate::cli::tools::store::SCHEMA;

pub(in crate::cli) fn inspect(
    arguments: &InspectArguments,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let mut watch = Watch::new();
    let store = log_store::read(&arguments.path, &mut watch)?;
    let (repairs, refusal) = match store.opening() {
        Ok(report) => {
            let repairs = report.repairs.into_iter();
            (
                repairs
                    .map(|(path, what)| format!("{}: {what}", path.display()))
                    .collect(),
                None,
            )
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let layout: LogLayout = store.layout();
    let document = LogDocument {
        schema: SCHEMA,
        command: "inspect",
        engine: "logstor",
        path: arguments.path.display().to_string(),
        segment_bytes: layout.segment_bytes,
        segments_per_file: layout.segments_per_file,
        files: layout.files,
        file_bytes: layout.file_bytes,
        live_bytes: layout.live_bytes,
        dead_bytes: layout.dead_bytes,
        free_bytes: layout.free_bytes,
        last_append: layout.last_append,
        settled_append: layout.settled_append,
        vbuckets: layout.vbuckets.iter().map(VBucketFigures::from).collect(),
        segments: layout.segments.iter().map(SegmentFigures::from).collect(),
        images: layout.images.iter().map(ImageFigures::from).collect(),
        repairs,
        refusal,
        lines: watch.lines,
        findings: watch.kept,
        findings_left_out: watch.left_out,
        others: log_store::others(store.others()),
    };
    if arguments.json {
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let text = log_render::of_store(&document, &layout, arguments.segments);
        out.styled(&text)?;
        log_store::note(&document.others);
    }
    Ok(if watch.damage > 0 || document.refusal.is_some() {
        Exit::Corrupt
    } else {
        Exit::Ok
    })
}
