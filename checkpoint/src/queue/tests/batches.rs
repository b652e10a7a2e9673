//! Batches: what they deliver and keep alive while the queue changes.

use super::*;
use crate::queue::cost::SLOT_BYTES;

#[test]
fn batch_keeps_its_chunks_alive_and_charged() {
    let (mut queue, account) = queue_of(1..=20);
    let (from, to) = (3, 18);
    let batch = batch(&queue, from, to, 20);
    // After the read, items in the batch are superseded, and then everything leaves the queue.
    push(&mut queue, item(21, 0));
    assert!(supersede(&mut queue, 5, Seqno(21)).is_some());
    drop(queue.advance_base(21));
    assert_eq!(queue.bytes(), 0);
    assert_eq!(
        account.total(),
        (16 + 32) * SLOT_BYTES + 21 * KEY_BYTES,
        "both chunks"
    );
    let read: Vec<_> = batch.items().map(|item| item.seqno.0).collect();
    assert_eq!(read, (4..=18).collect::<Vec<_>>());
    drop(batch);
    assert_eq!(account.total(), 0);
}

#[test]
fn batch_omits_items_superseded_up_to_its_end() {
    let (mut queue, _) = queue_of(1..=4);
    supersede(&mut queue, 1, Seqno(4));
    supersede(&mut queue, 2, Seqno(5));
    let batch = batch(&queue, 0, 4, 4);
    let read: Vec<_> = batch.items().map(|item| item.seqno.0).collect();
    assert_eq!(
        read,
        [1, 3, 4],
        "2 was replaced by 4, 3 by 5, which is not in the snapshot at 4"
    );
}
