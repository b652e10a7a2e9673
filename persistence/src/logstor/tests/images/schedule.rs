//! The schedule of images: when one is written.

use super::stores::{image_name, lived};
use crate::contract::Engine;
use crate::disk::MemoryDisk;
use crate::logstor::LogstorConfig;
use crate::logstor::tests::support::{A, IMAGES, SMALL, commit, hide_images, open_with, run, set};

#[test]
fn close_writes_an_image_when_enough_was_appended() {
    for (config, images) in [
        (IMAGES, 1),
        (SMALL, 0),
        (
            LogstorConfig {
                image_bytes: 4 << 20,
                ..SMALL
            },
            1,
        ),
    ] {
        let disk = lived(config, true);
        assert_eq!(hide_images(&disk, true), images, "{config:?}");
    }
    let disk = lived(IMAGES, true);
    let name = image_name(&disk);
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    engine.close().expect("closed");
    assert_eq!(image_name(&disk), name, "nothing was appended");
}

#[test]
fn idle_store_makes_an_image_sooner() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        image_bytes: 1 << 20,
        garbage_percent: None,
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    for n in 1..60 {
        commit(&engine, A, &[set(n, &format!("key-{n}"), &[0; 3000])]).expect("committed");
        while let Some(job) = engine.maintenance() {
            run(job).expect("done");
        }
        assert_eq!(engine.stats()["images"], 0);
    }
    // More than an eighth of a MiB was appended, but a host that asks often also asks between two
    // commits.
    for _ in 0..63 {
        assert!(engine.maintenance().is_none());
    }
    commit(&engine, A, &[set(60, "key-60", b"")]).expect("committed");
    let (looks, job) = (0..100)
        .find_map(|look| Some((look, engine.maintenance()?)))
        .expect("no other writer");
    assert_eq!(
        looks, 65,
        "the first finds what was appended, and 64 nothing more"
    );
    run(job).expect("made");
    assert_eq!(engine.stats()["images"], 1);
    assert!(engine.maintenance().is_none());
}

#[test]
fn image_is_not_due_before_it_is_worth_its_bytes() {
    let disk = MemoryDisk::new();
    let config = LogstorConfig {
        image_bytes: 100_000,
        image_percent: 10,
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    let mut images = Vec::new();
    for n in 1..400 {
        commit(&engine, A, &[set(n, &format!("key-{n}"), &[0; 3000])]).expect("committed");
        if let Some(job) = engine.maintenance.image_job() {
            run(job).expect("made");
            images.push(n);
        }
    }
    // A commit appends one block. An image has 40 bytes a key, and 10 % of the bytes appended since
    // would be 400.
    assert!(
        images.windows(2).all(|pair| pair[1] - pair[0] >= 25),
        "{images:?}"
    );
    assert!(images.len() > 10, "{images:?}");
    let stats = engine.stats();
    assert_eq!(stats["images"], images.len() as u64);
    assert!(
        stats["image-bytes"] * 8 < stats["bytes-written"],
        "{stats:?}"
    );
}
