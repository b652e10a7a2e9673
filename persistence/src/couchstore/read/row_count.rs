//! Counting rows without reading them: the by-seqno tree has the number of rows below each pointer.

use lowtide_checkpoint::Seqno;

use crate::contract::EngineError;
use crate::couchstore::btree::{DEPTH_MAX, too_deep};
use crate::couchstore::file::{CacheHint, CommitView};
use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::{NodeKind, Tree, by_seqno};
use crate::numbers::to_u64;

impl CommitView {
    /// Returns the number of rows with a seqno in `from..=to`. Reads two paths from the root.
    pub(crate) fn count(&self, from: Seqno, to: Seqno) -> Result<u64, EngineError> {
        if from > to {
            return Ok(0);
        }
        // No row lies above the highest seqno.
        let upto = self.rows_below(to.0.saturating_add(1))?;
        // Sums of damaged pointers may contradict one another.
        Ok(upto.saturating_sub(self.rows_below(from.0)?))
    }

    fn rows_below(&self, seqno: u64) -> Result<u64, EngineError> {
        let Some(mut pointer) = self.header.by_seqno else {
            return Ok(0);
        };
        if seqno > U48_MAX {
            return Ok(pointer.reduction.rows());
        }
        let key = by_seqno::key(Seqno(seqno));
        let mut below = 0_u64;
        for _ in 0..DEPTH_MAX {
            let node = self.node(pointer.position, CacheHint::InteriorOnly)?;
            if node.kind == NodeKind::Leaf {
                let here = node.entries().take_while(|&(of, _)| of < &key[..]).count();
                return Ok(below.saturating_add(to_u64(here)));
            }
            let mut on_the_path = None;
            for (last, value) in node.entries() {
                let child = self.child(Tree::BySeqno, pointer.position, value)?;
                if last >= &key[..] {
                    on_the_path = Some(child);
                    break;
                }
                below = below.saturating_add(child.reduction.rows());
            }
            match on_the_path {
                Some(child) => pointer = child,
                None => return Ok(below),
            }
        }
        Err(too_deep(self, Tree::BySeqno))
    }
}
