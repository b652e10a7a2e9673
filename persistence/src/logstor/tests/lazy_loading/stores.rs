//! A store with an image and later appends, batches for it, and gets of all its keys.

use lowtide_checkpoint::{Item, Key, Namespace, Vbid};

use crate::contract::{Engine, EngineError};
use crate::disk::{Disk, MemoryDisk};
use crate::logstor::Logstor;
use crate::logstor::tests::life::{Pins, Shown, life, shown, take};
use crate::logstor::tests::support::{
    A, B, C, IMAGES, apply, commit, delete, dir, fork, make_image, noise, open_with, set,
};

pub(super) fn get(engine: &Logstor, vb: Vbid, key: &str) -> Result<Option<Item>, EngineError> {
    engine.get(vb, Namespace::Committed, &Key::new(key.as_bytes()))
}

/// Returns a store with a life behind it, an image, and later commits; and its contents.
pub(super) fn lived() -> (MemoryDisk, Shown) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    let mut pins = Pins::default();
    for (step, _) in life() {
        assert!(take(&engine, &mut pins, &step).expect("done"));
    }
    let many: Vec<Item> = (100..200)
        .map(|n| set(n, &format!("b-{n}"), &noise(n, 50)))
        .collect();
    commit(&engine, B, &many).expect("committed");
    make_image(&engine).expect("made");
    engine.create(C).expect("created");
    commit(
        &engine,
        B,
        &[set(200, "b-117", b"after"), delete(201, "b-118")],
    )
    .expect("committed");
    commit(&engine, C, &[set(1, "late", b"made after the image")]).expect("committed");
    let shown = shown(&engine);
    drop((pins, engine));
    (fork(&disk), shown)
}

/// Asserts what a get returns for every key that was ever used.
pub(super) fn assert_gets(engine: &Logstor, expected: &Shown) {
    let keys = expected
        .values()
        .flat_map(|contents| contents.values())
        .map(|item| item.key.clone());
    let never = ["b", "no", "", "c-1", "zzz"].map(|key| Key::new(key.as_bytes()));
    for key in keys.chain(never) {
        for (&vb, contents) in expected {
            let found = engine
                .get(Vbid(vb), Namespace::Committed, &key)
                .expect("readable");
            assert_eq!(
                found.as_ref(),
                contents.values().find(|item| item.key == key),
                "{key:?}"
            );
        }
    }
}

pub(super) fn image_path(disk: &MemoryDisk) -> std::path::PathBuf {
    let mut names = disk.list(&dir()).expect("there");
    names.retain(|name| name.starts_with("index-"));
    assert_eq!(names.len(), 1, "{names:?}");
    dir().join(&names[0])
}

/// Batches to commit, in this order, before anything is loaded.
pub(super) fn batches() -> [Vec<(Vbid, Vec<Item>)>; 3] {
    [
        vec![(
            B,
            vec![
                set(300, "b-120", b"early"),
                delete(301, "b-121"),
                set(302, "new", b"n"),
            ],
        )],
        vec![
            (
                A,
                vec![delete(300, "key-3"), set(301, "large", &noise(3, 70_000))],
            ),
            (C, vec![delete(2, "late")]),
        ],
        vec![
            (
                B,
                vec![set(303, "b-121", b"again"), set(304, "b-120", b"twice")],
            ),
            (A, vec![set(302, "x", b"")]),
        ],
    ]
}

pub(super) fn after(before: &Shown, batches: &[(Vbid, Vec<Item>)]) -> Shown {
    let mut after = before.clone();
    for (vb, items) in batches {
        after.insert(vb.0, apply(&before[&vb.0], items));
    }
    after
}
