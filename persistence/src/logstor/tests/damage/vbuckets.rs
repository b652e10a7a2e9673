//! The reach of damage: the vBuckets that may be in a damaged frame are refused, the others serve.

use lowtide_checkpoint::Vbid;

use super::stores::{assert_refused, separated};
use crate::contract::{CompactionRequest, Engine};
use crate::disk::{Disk, MemoryDisk};
use crate::logstor::tests::life::{Pins, Step, take};
use crate::logstor::tests::support::{
    A, B, IMAGES, SMALL, audit, change_byte, commit, commit_all, contents, dir, log_path,
    make_image, open, open_with, run, set,
};

#[test]
fn damaged_frame_of_one_vbucket_harms_no_other() {
    let (disk, path, offset) = separated(SMALL);
    change_byte(&disk, &path, offset, |byte| byte ^ 16);
    for _ in 0..2 {
        let (mut engine, report) = open(&disk).expect("opens");
        assert_eq!(
            report
                .unreadable
                .iter()
                .map(|(vb, _)| *vb)
                .collect::<Vec<_>>(),
            [A]
        );
        assert_eq!(report.repairs, []);
        assert_refused(&engine, A);
        // The others serve, also while rewriting makes space.
        let high = engine.info(B).expect("there").high.0;
        for n in high + 1..high + 400 {
            commit(&engine, B, &[set(n, &format!("b-{}", n % 50), &[1; 9000])]).expect("committed");
            if n % 8 == 0 {
                take(&engine, &mut Pins::default(), &Step::Upkeep).expect("done");
            }
        }
        assert_eq!(contents(&engine, B).keys().next_back(), Some(&(high + 399)));
        engine.close().expect("closed");
        engine = open(&disk).expect("opens").0;
        assert_refused(&engine, A);
    }
    let (engine, _) = open(&disk).expect("opens");
    engine.drop_vbucket(A).expect("dropped");
    engine.create(A).expect("created");
    commit(&engine, A, &[set(1, "new", b"n")]).expect("committed");
    drop(engine);
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!((report.unreadable, report.repairs), (vec![], vec![]));
    assert_eq!(contents(&engine, A).len(), 1);
    run(engine
        .compact(B, CompactionRequest::default())
        .expect("begun"))
    .expect("compacted");
    contents(&engine, B);
    audit(&engine, false);
}

#[test]
fn damaged_frame_of_many_vbuckets_harms_those_in_its_epoch_range() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let vbs: Vec<Vbid> = (0..6).map(Vbid).collect();
    for &vb in &vbs {
        engine.create(vb).expect("created");
        commit(&engine, vb, &[set(1, "a", b"1")]).expect("committed");
    }
    let both = [vbs[2], vbs[4]].map(|vb| (vb, vec![set(2, "b", b"2")]));
    assert!(commit_all(&engine, &both).iter().all(Result::is_ok));
    commit(&engine, vbs[0], &[set(2, "end", b"")]).expect("committed");
    drop(engine);
    change_byte(&disk, &log_path(0), 6 * 4096 + 90, |byte| byte ^ 1);
    let (engine, report) = open(&disk).expect("opens");
    // The epoch of the third vBucket lies between those of the other two.
    assert_eq!(
        report
            .unreadable
            .iter()
            .map(|(vb, _)| vb.0)
            .collect::<Vec<_>>(),
        [2, 3, 4]
    );
    for vb in [0, 1, 5] {
        contents(&engine, Vbid(vb));
    }
}

#[test]
fn damaged_large_record_harms_only_its_vbucket() {
    for piece in [1_u64, 2] {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(A).expect("created");
        engine.create(B).expect("created");
        commit(&engine, A, &[set(1, "large", &[7; 180_000])]).expect("committed");
        commit(&engine, B, &[set(1, "b", b"1")]).expect("committed");
        commit(&engine, B, &[set(2, "b", b"2")]).expect("committed");
        drop(engine);
        change_byte(&disk, &log_path(0), piece * (64 << 10) + 500, |byte| {
            byte ^ 1
        });
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(report.unreadable.len(), 1, "{report:?}");
        assert_refused(&engine, A);
        assert_eq!(contents(&engine, B).len(), 1);
    }
}

/// Damage to both an image's rows and the log is found when the vBucket is loaded.
#[test]
fn damaged_image_rows_and_frame_harm_the_vbucket_when_it_is_loaded() {
    let (disk, path, offset) = separated(IMAGES);
    change_byte(&disk, &path, offset, |byte| byte ^ 16);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert_eq!(report.unreadable, []);
    assert_eq!(engine.info(A).expect("the image knows").items, 39);
    drop(engine);
    let names = disk.list(&dir()).expect("there");
    let image = names
        .iter()
        .find(|name| name.starts_with("index-"))
        .expect("there");
    // The first rows belong to the lower vBucket.
    change_byte(&disk, &dir().join(image), 100, |byte| byte ^ 16);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert_eq!(report.unreadable, []);
    for n in 40..300 {
        commit(&engine, B, &[set(n, &format!("b-{}", n % 50), &[1; 9000])]).expect("committed");
    }
    assert_refused(&engine, A);
    assert_eq!(contents(&engine, B).keys().next_back(), Some(&299));
    // The next image cannot be built on the damaged one.
    engine.close().expect("closed");
    drop(engine);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert_refused(&engine, A);
    assert_eq!(report.repairs, []);
    engine.drop_vbucket(A).expect("dropped");
    let _ = make_image(&engine);
    commit(&engine, B, &[set(300, "end", b"")]).expect("committed");
    make_image(&engine).expect("made of the log");
    drop(engine);
    let (engine, report) = open_with(&disk, IMAGES).expect("opens");
    assert!(report.notes[0].contains("knows everything"), "{report:?}");
    assert_eq!(contents(&engine, B).keys().next_back(), Some(&300));
}
