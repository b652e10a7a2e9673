//! First pass over a snapshot from disk, for a client without Collections.
//!
//! No message tells such a client that a snapshot ended, so its snapshots must end with an item
//! that it sees (S25). That item is known only after the disk was read to its end. So the pinned
//! scan is read twice, in slices, and a snapshot without a visible item is not announced.

use lowtide_checkpoint::{CursorBatch, Item, VBucket};

use super::active_stream::ActiveStream;
use super::stage::{Disk, Source, Survey};
use crate::producer::backfill::BackfillScan;
use crate::producer::error::ProducerError;
use crate::producer::session::Options;

impl ActiveStream {
    /// Processes a slice of the first pass. Returns `true` if the stream continues with the scan.
    pub(super) fn surveyed(
        &mut self,
        mut scan: BackfillScan,
        items: &[Item],
        vbucket: &VBucket,
        options: &Options,
    ) -> Result<bool, ProducerError> {
        let omits_deletions = self.omits_deletions(options);
        let is_seen = |item: &&Item| {
            !(omits_deletions && item.deleted) && self.outbox.is_visible(item, options)
        };
        let in_slice = items.iter().rfind(is_seen).map(|item| item.seqno);
        let before = self.survey.take().and_then(|survey| survey.last);
        let on_disk = in_slice.or(before);
        if !scan.is_done() {
            self.survey = Some(Survey { last: on_disk });
            self.source = Source::Disk(Disk::Paused(scan));
            return Ok(true);
        }
        let in_memory = self
            .gathered
            .iter()
            .flat_map(CursorBatch::items)
            .filter(|item| item.seqno > scan.high() && self.outbox.is_visible(item, options))
            .map(|item| item.seqno)
            .max();
        let Some(end) = in_memory.or(on_disk) else {
            // Nothing is visible: the client is in the same position as after receiving all of it.
            self.read = scan.high();
            let gathered = std::mem::take(&mut self.gathered);
            self.take_batches(&gathered, options)?;
            self.hand_over(vbucket)?;
            return Ok(false);
        };
        self.announce_disk(&scan, end, options)?;
        scan.restart(self.read);
        self.source = Source::Disk(Disk::Paused(scan));
        Ok(true)
    }
}
