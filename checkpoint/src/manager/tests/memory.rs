//! Memory: everything charged is discharged, and readers' memory is counted apart.

use super::*;

#[test]
fn memory_returns_to_the_baseline() {
    let manager = persisting();
    let baseline = manager.stats().memory_bytes();
    assert_eq!(baseline, 0);
    let dcp = cursor(&manager, "dcp");
    for round in 0..3 {
        for number in 0..200 {
            set(&manager, &format!("k{}", number % (round + 50)));
        }
        manager.close();
    }
    set(&manager, "last");
    assert!(manager.stats().queue_bytes > 0 && manager.stats().index_bytes > 0);

    let batch = read(&manager, dcp);
    let persisted = flush(&manager);
    let full = manager.stats();
    assert_eq!(full.reader_bytes, 0, "the queue holds the same memory");
    persisted.commit();
    assert_eq!(manager.expel(), 1);

    let stats = manager.stats();
    assert_eq!(
        (stats.items, stats.queue_bytes, stats.index_bytes),
        (0, 0, 0)
    );
    assert_eq!(
        stats.reader_bytes, full.queue_bytes,
        "only the batch holds it now"
    );
    assert_eq!(stats.memory_bytes(), stats.reader_bytes);
    drop(batch);
    assert_eq!(manager.stats().memory_bytes(), baseline);
}

#[test]
fn reader_bytes_count_memory_held_by_batches_only() {
    let manager = active();
    let (slow, fast) = (cursor(&manager, "slow"), cursor(&manager, "fast"));
    for number in 0..64 {
        set(&manager, &format!("k{number:02}"));
    }
    let queued = manager.stats().queue_bytes;
    let batch = read(&manager, slow);
    assert_eq!(manager.expel(), 0, "fast has read nothing");
    assert_eq!(manager.stats().reader_bytes, 0);

    manager.unregister(fast).expect("it is registered");
    assert_eq!(manager.expel(), 64);
    assert_eq!(
        (manager.stats().queue_bytes, manager.stats().reader_bytes),
        (0, queued)
    );

    // Chunks held by two batches count once.
    let manager = active();
    let (one, two) = (cursor(&manager, "one"), cursor(&manager, "two"));
    set(&manager, "a");
    let queued = manager.stats().queue_bytes;
    let batches = [read(&manager, one), read(&manager, two)];
    assert_eq!(manager.expel(), 1);
    assert_eq!(manager.stats().reader_bytes, queued);
    drop(batches);
    assert_eq!(manager.stats().reader_bytes, 0);
    drop(batch);
}

#[test]
fn clear_discharges_dropped_memory() {
    let manager = active();
    let slow = cursor(&manager, "slow");
    for number in 0..100 {
        set(&manager, &format!("k{number}"));
    }
    let queued = manager.stats().queue_bytes;
    let batch = read(&manager, slow);
    manager.clear(Seqno(40));
    let stats = manager.stats();
    assert_eq!(
        (stats.queue_bytes, stats.index_bytes, stats.reader_bytes),
        (0, 0, queued)
    );
    assert_eq!(batch.items().count(), 100);
    drop(batch);
    assert_eq!(manager.stats().memory_bytes(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn index_memory_follows_resident_items() {
    let manager = active();
    let reader = cursor(&manager, "reader");
    for number in 0..10_000 {
        set(&manager, &format!("k{number}"));
    }
    let full = manager.stats().index_bytes;
    read(&manager, reader);
    // One item stays, so that the open checkpoint is never empty. The rest is expelled.
    set(&manager, "stays");
    manager.expel();
    for number in 0..20_000 {
        set(&manager, &format!("n{number}"));
        read(&manager, reader);
        set(&manager, "stays");
        manager.expel();
    }
    let stats = manager.stats();
    assert!(
        stats.items <= 2 && stats.index_bytes < full / 8,
        "{} of {full} bytes",
        stats.index_bytes
    );
    assert_sound(&manager);
}
