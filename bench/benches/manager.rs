//! Single operations of the checkpoint manager: `cargo bench --manifest-path bench/Cargo.toml`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lowtide_checkpoint::{CheckpointConfig, CheckpointManager, Item, Key, ReadLimit, Seqno};

fn manager() -> CheckpointManager {
    CheckpointManager::new(CheckpointConfig::in_memory(), Seqno::ZERO)
}

fn item(key: u64, value: &Bytes) -> Item {
    Item::mutation(Key::new(&key.to_be_bytes()), value.clone())
}

/// Returns a manager with `items` items and a cursor that has read none of them.
fn filled(items: u64) -> CheckpointManager {
    let (manager, value) = (manager(), Bytes::from(vec![7; 256]));
    manager
        .register(
            "reader",
            Seqno::ZERO,
            lowtide_checkpoint::CursorOptions::new(),
        )
        .expect("valid");
    for key in 0..items {
        manager.queue(item(key, &value)).expect("active");
    }
    manager
}

fn queue(criterion: &mut Criterion) {
    let value = Bytes::from(vec![7; 256]);
    let (new, mut key) = (manager(), 0);
    criterion.bench_function("queue a new key", |bencher| {
        bencher.iter(|| {
            key += 1;
            if key % 4_096 == 0 {
                new.expel();
            }
            new.queue(item(key, &value)).expect("active")
        });
    });
    let (repeated, mut n) = (filled(10_000), 0);
    criterion.bench_function(
        "queue a key of 10,000 again, a cursor standing still",
        |bencher| {
            bencher.iter(|| {
                n += 7_919;
                repeated.queue(item(n % 10_000, &value)).expect("active")
            });
        },
    );
}

fn read(criterion: &mut Criterion) {
    for items in [100, 10_000, 100_000] {
        criterion.bench_function(
            &format!("read {items} items, without walking them"),
            |bencher| {
                bencher.iter_batched(
                    || filled(items),
                    |manager| {
                        let cursor = manager.cursor("reader").expect("registered");
                        // Both are returned, so that the batch is freed outside the measured time.
                        (
                            manager.read(cursor, ReadLimit::NONE).expect("registered"),
                            manager,
                        )
                    },
                    BatchSize::PerIteration,
                );
            },
        );
    }
    let walked = filled(10_000);
    let cursor = walked.cursor("reader").expect("registered");
    let batch = walked.read(cursor, ReadLimit::NONE).expect("registered");
    criterion.bench_function("walk a batch of 10,000 items", |bencher| {
        bencher.iter(|| {
            batch
                .items()
                .map(|item| black_box(item.seqno.0))
                .sum::<u64>()
        });
    });
}

fn place(criterion: &mut Criterion) {
    let manager = filled(100_000);
    let cursor = manager.cursor("reader").expect("registered");
    criterion.bench_function(
        "register in the middle of 100,000 items, and unregister",
        |bencher| {
            bencher.iter(|| {
                let registered = manager
                    .register(
                        "other",
                        Seqno(50_000),
                        lowtide_checkpoint::CursorOptions::new(),
                    )
                    .expect("valid");
                manager.unregister(registered.cursor).expect("registered");
            });
        },
    );
    criterion.bench_function("how many of 100,000 items remain", |bencher| {
        bencher.iter(|| manager.remaining(cursor).expect("registered"));
    });
}

criterion_group!(benches, queue, read, place);
criterion_main!(benches);
