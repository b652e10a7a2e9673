//! The queue as a diagram, for `Display` and for scenario files.
//!
//! One line per checkpoint with its resident items, then one line per cursor.

use std::fmt;

use crate::manager::locked_state::LockedState;
use crate::model::{Item, Operation};

impl LockedState {
    pub(crate) fn write_diagram(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sync_all_progress();
        for (checkpoint, end) in self.checkpoints_and_ends() {
            let range = checkpoint.snapshot_range();
            let state = if checkpoint.open { "open" } else { "closed" };
            let name = range.snapshot_type.name();
            write!(
                f,
                "{} {state:<6} {name} {}-{} | ({})",
                checkpoint.id, range.start, range.end, checkpoint.dummy
            )?;
            for (_, item) in self
                .queue
                .live_items(self.queue.base().max(checkpoint.first), end)
            {
                write!(f, " | {}", ItemText(item))?;
            }
            writeln!(f)?;
        }
        let width = self
            .cursors
            .iter()
            .map(|cursor| cursor.name.chars().count())
            .max()
            .unwrap_or(0);
        for cursor in self.cursors.iter() {
            writeln!(f, "{:<width$} -> {}", cursor.name, cursor.seqno)?;
        }
        Ok(())
    }
}

/// An item in the notation of diagrams and scenario files: `KIND KEY @SEQNO`.
struct ItemText<'a>(&'a Item);

impl fmt::Display for ItemText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Item {
            operation,
            key,
            seqno,
            ..
        } = self.0;
        match operation {
            Operation::SetVBucketState(state) => write!(f, "{} {state} @{seqno}", operation.name()),
            _ => write!(f, "{} {key} @{seqno}", operation.name()),
        }
    }
}
