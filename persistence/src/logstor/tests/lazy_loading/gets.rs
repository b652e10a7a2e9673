//! Gets before the index is loaded.

use super::stores::{assert_gets, get, lived};
use crate::contract::Engine;
use crate::disk::MemoryDisk;
use crate::logstor::tests::life::shown;
use crate::logstor::tests::support::{
    A, IMAGES, audit, commit, fork, hide_images, make_image, open_with, set,
};

#[test]
fn get_finds_every_key_before_the_index_is_loaded() {
    let (disk, expected) = lived();
    for is_hidden in [false, true] {
        let disk = fork(&disk);
        if is_hidden {
            hide_images(&disk, true);
        }
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        assert_gets(&engine, &expected);
        assert_eq!(
            engine.store.registry.left_to_load(),
            3,
            "nothing was loaded for that"
        );
        assert_eq!(shown(&engine), expected);
        assert_gets(&engine, &expected);
    }
}

/// A rollback revives records that the image does not know. Only a load can find them.
#[test]
fn first_get_loads_a_vbucket_rolled_back_since_the_image() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    engine.create(A).expect("created");
    commit(&engine, A, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
    let pin = engine.snapshot(A).expect("pinned");
    commit(&engine, A, &[set(3, "a", b"3")]).expect("committed");
    make_image(&engine).expect("made");
    engine
        .rollback(A, lowtide_checkpoint::Seqno(2))
        .expect("back");
    drop((pin, engine));
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    commit(&engine, A, &[set(3, "b", b"other")]).expect("committed");
    assert_eq!(engine.store.registry.left_to_load(), 1);
    assert_eq!(
        get(&engine, A, "b").expect("readable"),
        Some(set(3, "b", b"other"))
    );
    assert_eq!(
        engine.store.registry.left_to_load(),
        1,
        "what was committed since is known"
    );
    assert_eq!(
        get(&engine, A, "a").expect("readable"),
        Some(set(1, "a", b"1"))
    );
    assert_eq!(engine.store.registry.left_to_load(), 0);
    audit(&engine, true);
}
