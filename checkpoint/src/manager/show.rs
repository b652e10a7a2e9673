//! The queue as a diagram.

use std::fmt;

use super::inner::Inner;
use crate::{Item, Operation};

impl Inner {
    pub(super) fn show(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.catch_up_all();
        let ends = self
            .checkpoints()
            .skip(1)
            .map(|next| next.first)
            .chain([self.queue.end()]);
        for (checkpoint, end) in self.checkpoints().zip(ends) {
            let (range, state) = (
                checkpoint.snapshot_range(),
                if checkpoint.open { "open" } else { "closed" },
            );
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
                write!(f, " | {}", Line(item))?;
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

/// An item in one line, as diagrams and scenario files have it: `KIND KEY @SEQNO`.
pub(super) struct Line<'a>(pub(super) &'a Item);

impl fmt::Display for Line<'_> {
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
