//! `dcp-sim dump` of a log store's directory: it prints its vBuckets in turn.

use std::io::Write;

use lowtide_checkpoint::{Item, Operation, Vbid};
use lowtide_persistence::EngineError;

use super::arguments::{DumpArguments, Order};
use super::printer::{Printer, Stop, Wrapped};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, message};
use crate::cli::tools::log_store::{self, Watch};

pub(in crate::cli) fn dump(arguments: &DumpArguments, out: &mut Output) -> Result<Exit, Failure> {
    log_store::refuse(
        arguments.local,
        "--local",
        "`dcp-sim inspect` shows the states of its vBuckets",
    )?;
    log_store::refuse(
        arguments.headers_back > 0,
        "--headers-back",
        "it has no older headers",
    )?;
    let mut watch = Watch::new();
    let store = log_store::read(&arguments.path, &mut watch)?;
    for line in &watch.lines {
        message!("error: {line}");
    }
    if watch.records_damage > 0 {
        message!("hint: in damaged parts, older revisions and deleted documents may be shown");
    }
    let vbs: Vec<Vbid> = store
        .vbuckets()
        .filter(|vb| arguments.vb.is_none_or(|only| only == vb.0))
        .collect();
    if let (Some(vb), true) = (arguments.vb, vbs.is_empty()) {
        let error = format!(
            "{}: no vBucket {vb} in this store",
            arguments.path.display()
        );
        return Err(Failure::new(Exit::Usage, &error));
    }
    let mut out = out.rows();
    let mut exit = if watch.damage > 0 {
        Exit::Corrupt
    } else {
        Exit::Ok
    };
    for vb in vbs {
        let shown = Some(vb.0).filter(|_| arguments.vb.is_none());
        let mut printer = Printer {
            out: &mut out,
            vb: shown,
            unreadable: 0,
        };
        let printed = match arguments.by {
            Order::Seqno => print(&mut printer, store.items(vb)),
            Order::Key => print(&mut printer, store.items_by_key(vb)?),
        };
        if printer.unreadable > 0 {
            exit = Exit::Corrupt;
        }
        match printed {
            Ok(()) => {}
            Err(Stop::Lost) => break,
            Err(Stop::Failed(failure)) => {
                let _ = out.flush();
                return Err(failure);
            }
        }
    }
    let _ = out.flush();
    Ok(exit)
}

fn print(
    printer: &mut Printer<'_>,
    mut items: impl Iterator<Item = Result<Item, EngineError>>,
) -> Result<(), Stop> {
    items.try_for_each(|item| match item {
        Ok(item) => printer.row(is_deleted(&item), &item),
        // The other items are still readable.
        Err(error @ EngineError::Corrupt { .. }) => {
            printer.unreadable += 1;
            message!("error: an item is left out: {error}");
            Ok(())
        }
        Err(error) => Err(Wrapped(error).into()),
    })
}

/// Returns `true` for a deleted row in the sense of a file of a single vBucket: an abort is a
/// deleted prepare, a prepare of a deletion is not deleted yet.
fn is_deleted(item: &Item) -> bool {
    match item.operation {
        Operation::Prepare => false,
        Operation::Abort => true,
        _ => item.deleted,
    }
}
