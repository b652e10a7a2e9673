//! Moves of a vBucket (L35, L36). An export is the vBucket at its pin. An import is there as a
//! whole or leaves nothing, whatever fails, while both stores serve.

mod failures;

use std::io::Read;
use std::sync::Arc;

use lowtide_checkpoint::{Item, Seqno};
use proptest::prelude::*;

use crate::contract::{
    Budget, CompactionRequest, Engine, EngineError, JobProgress, RolledBack, Snapshot,
};
use crate::disk::{FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::tests::life::{Pins, life, take};
use crate::logstor::tests::support::{
    A, B, C, Contents, SMALL, apply, audit, commit, contents, contents_of, delete, dir, dump,
    hide_images, in_collection, make_image, noise, numbered, open, open_with, run, set,
};
use crate::logstor::{Export, Logstor, LogstorConfig, check_store};

/// Returns every piece, concatenated.
fn bytes_of(engine: &Logstor, vb: lowtide_checkpoint::Vbid) -> Vec<u8> {
    let mut export = engine.export(vb).expect("there");
    let mut bytes = Vec::new();
    while let Some(piece) = export.next_piece().expect("readable") {
        assert!(piece.len() < 300_000, "pieces are small where records are");
        bytes.extend(piece);
    }
    assert_eq!(export.next_piece().expect("over"), None);
    bytes
}

fn import(engine: &Logstor, vb: lowtide_checkpoint::Vbid, bytes: &[u8]) -> Result<(), EngineError> {
    let pieces: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(bytes.to_vec()));
    run(engine.import(vb, pieces)?).map(drop)
}

/// Returns everything a vBucket shows.
fn whole(
    engine: &Logstor,
    vb: lowtide_checkpoint::Vbid,
) -> (
    Contents,
    crate::contract::VBucketInfo,
    Option<lowtide_checkpoint::VBucketState>,
) {
    let snapshot = engine.snapshot(vb).expect("there");
    (
        contents(engine, vb),
        engine.info(vb).expect("there"),
        snapshot.state().cloned(),
    )
}

/// A geometry other than that of [`SMALL`].
const OTHER: LogstorConfig = LogstorConfig {
    segment_bytes: 80 << 10,
    file_bytes: 400 << 10,
    ..SMALL
};

/// Makes a store that already has other vBuckets.
fn target(disk: &FaultyDisk) -> Logstor {
    let (engine, _) = open_with(disk, OTHER).expect("opens");
    engine.create(B).expect("created");
    commit(
        &engine,
        B,
        &[set(1, "other", b"1"), set(2, "more", &noise(2, 3000))],
    )
    .expect("committed");
    engine
}

/// Moves after every step of a life: rollbacks, purges, large values, compactions.
#[test]
fn import_equals_the_export_at_every_moment_of_a_life() {
    let (source, _) = open(&MemoryDisk::new()).expect("opens");
    let mut pins = Pins::default();
    let disk = FaultyDisk::new(MemoryDisk::new());
    let engine = target(&disk);
    for (number, (step, _)) in life().into_iter().enumerate() {
        assert!(take(&source, &mut pins, &step).expect("done"));
        for vb in source.vbuckets() {
            import(&engine, C, &bytes_of(&source, vb)).expect("imported");
            assert_eq!(whole(&engine, C), whole(&source, vb), "step {number}");
            audit(&engine, true);
            engine.drop_vbucket(C).expect("dropped");
        }
        run(engine
            .compact(B, CompactionRequest::default())
            .expect("begun"))
        .expect("done");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<(u8, bool, u16)>),
    Purge(u8),
    RollBack,
    Compact,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let bytes = prop_oneof![8 => 0_u16..300, 3 => 2000_u16..9000, 1 => Just(u16::MAX)];
    let keys = prop::collection::vec((0_u8..24, any::<bool>(), bytes), 0..8);
    let act = prop_oneof![
        8 => keys.prop_map(Act::Commit),
        2 => any::<u8>().prop_map(Act::Purge),
        1 => Just(Act::RollBack),
        1 => Just(Act::Compact),
    ];
    prop::collection::vec(act, 0..20)
}

fn batch(high: u64, keys: &[(u8, bool, u16)]) -> Vec<Item> {
    let item = |(n, (key, is_deletion, len)): (u64, &(u8, bool, u16))| {
        let seqno = high + 1 + n;
        let len = if *len == u16::MAX {
            90_000
        } else {
            usize::from(*len)
        };
        let item = if *is_deletion {
            delete(seqno, "")
        } else {
            set(seqno, "", &noise(seqno, len))
        };
        numbered(*key, item)
    };
    (0..).zip(keys).map(item).collect()
}

fn play(engine: &Logstor, pinned: &mut Option<Box<dyn Snapshot>>, act: &Act) {
    let high = engine.info(A).expect("there").high;
    match act {
        Act::Commit(keys) => {
            commit(engine, A, &batch(high.0, keys)).expect("committed");
        }
        Act::Purge(share) => {
            engine
                .purge(A, Seqno(high.0 * u64::from(*share) / 200))
                .expect("purged");
        }
        Act::RollBack => match pinned.take() {
            None => *pinned = Some(engine.snapshot(A).expect("there")),
            Some(pin) => {
                let done = engine.rollback(A, pin.high()).expect("answered");
                assert!(matches!(done, RolledBack::Done { .. }));
            }
        },
        Act::Compact => {
            run(engine
                .compact(A, CompactionRequest::default())
                .expect("begun"))
            .expect("done");
        }
    }
}

/// An export that continues as far as the import reads.
struct Pull {
    export: Export,
    left: std::collections::VecDeque<u8>,
}

impl Read for Pull {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left.is_empty() {
            self.left.extend(
                self.export
                    .next_piece()
                    .expect("readable")
                    .unwrap_or_default(),
            );
        }
        self.left.read(buffer)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Both stores take commits while the vBucket moves. The moved vBucket then lives on, through a
    /// crash, as any other.
    #[test]
    fn any_history_moves(before in acts(), meanwhile in acts(), after in acts()) {
        let (source, _) = open(&MemoryDisk::new()).expect("opens");
        source.create(A).expect("created");
        let mut pinned = None;
        before.iter().for_each(|act| play(&source, &mut pinned, act));
        let expected = whole(&source, A);
        let export = source.export(A).expect("there");
        assert_eq!((export.high(), export.info(), export.state().cloned()), (expected.1.high, expected.1, expected.2.clone()));
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = target(&disk);
        let mut others = contents(&engine, B);
        let mut job = engine.import(A, Box::new(Pull { export, left: Vec::new().into() })).expect("new");
        let mut meanwhile = meanwhile.iter();
        let mut seqno = 100;
        loop {
            assert_eq!(engine.vbuckets(), [B], "not before it is whole");
            if let JobProgress::Done(report) = job.step(Budget { items: 1, bytes: 1 }).expect("sound") {
                assert_eq!(report.items_copied, expected.0.len() as u64);
                break;
            }
            meanwhile.by_ref().take(2).for_each(|act| play(&source, &mut pinned, act));
            seqno += 1;
            let more = [set(seqno, &format!("k-{}", seqno % 5), &noise(seqno, 4000))];
            commit(&engine, B, &more).expect("committed");
            others = apply(&others, &more);
            if seqno % 3 == 0 {
                run(engine.compact(B, CompactionRequest::default()).expect("begun")).expect("done");
            }
            audit(&engine, true);
        }
        assert!(whole(&engine, A) == expected);
        assert!(contents(&engine, B) == others);
        audit(&engine, true);
        let mut pinned = None;
        after.iter().for_each(|act| play(&engine, &mut pinned, act));
        drop(pinned);
        let lived = whole(&engine, A);
        drop((job, engine));
        disk.crash(PowerLoss::DropUnsynced);
        let (engine, report) = open_with(&disk, OTHER).expect("opens");
        assert_eq!(report.repairs, []);
        assert!(whole(&engine, A) == lived);
        audit(&engine, true);
    }
}

/// No record carries the state of the vBucket.
#[test]
fn vbucket_with_a_state_and_no_items_moves() {
    let (source, _) = open(&MemoryDisk::new()).expect("opens");
    for vb in [A, B] {
        source.create(vb).expect("created");
    }
    commit(&source, A, &[]).expect("committed");
    let disk = FaultyDisk::new(MemoryDisk::new());
    let engine = target(&disk);
    let expected = whole(&source, A);
    assert!(expected.2.is_some() && whole(&source, B).2.is_none());
    import(&engine, A, &bytes_of(&source, A)).expect("imported");
    import(&engine, C, &bytes_of(&source, B)).expect("imported");
    assert!(whole(&engine, A) == expected);
    assert!(whole(&engine, C) == whole(&source, B), "nor is one made up");
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    assert!(whole(&open_with(&disk, OTHER).expect("opens").0, A) == expected);
}

/// The head of the export has a number for each.
#[test]
fn vbucket_with_thousands_of_spared_tombstones_moves() {
    let (source, _) = open(&MemoryDisk::new()).expect("opens");
    source.create(A).expect("created");
    let spared: Vec<Item> = (1..=5_000)
        .map(|n| in_collection(n as u32 + 8, delete(n, "key")))
        .collect();
    for batch in spared.chunks(1_000) {
        commit(&source, A, batch).expect("committed");
    }
    let taken = [delete(5_001, "key"), set(5_002, "end", b"")];
    commit(&source, A, &taken).expect("committed");
    source.purge(A, Seqno(5_001)).expect("purged");
    let expected = whole(&source, A);
    assert_eq!(expected.0.len(), 5_001);
    let engine = target(&FaultyDisk::new(MemoryDisk::new()));
    import(&engine, C, &bytes_of(&source, A)).expect("imported");
    assert!(whole(&engine, C) == expected);
}

/// Returns the export of a vBucket with records of every kind.
fn exported() -> (Vec<u8>, Contents) {
    let (source, _) = open(&MemoryDisk::new()).expect("opens");
    source.create(A).expect("created");
    let items: Vec<Item> = (1..=40)
        .map(|n| set(n, &format!("key-{n}"), &noise(n, 4000)))
        .collect();
    commit(&source, A, &items).expect("committed");
    commit(
        &source,
        A,
        &[
            delete(41, "key-3"),
            set(42, "large", &noise(42, 120_000)),
            delete(43, "key-4"),
        ],
    )
    .expect("committed");
    source.purge(A, Seqno(41)).expect("purged");
    (bytes_of(&source, A), contents(&source, A))
}

#[test]
fn export_outlives_its_vbucket() {
    let disk = MemoryDisk::new();
    let (source, _) = open(&disk).expect("opens");
    source.create(A).expect("created");
    commit(
        &source,
        A,
        &[set(1, "a", b"1"), set(2, "b", &noise(2, 70_000))],
    )
    .expect("committed");
    let expected = contents_of(&*source.snapshot(A).expect("there"));
    let mut export = source.export(A).expect("there");
    source.drop_vbucket(A).expect("dropped");
    source.create(A).expect("created");
    commit(&source, A, &[set(1, "z", b"other")]).expect("committed");
    run(source
        .compact(A, CompactionRequest::default())
        .expect("begun"))
    .expect("done");
    let mut bytes = Vec::new();
    while let Some(piece) = export.next_piece().expect("readable") {
        bytes.extend(piece);
    }
    import(&source, C, &bytes).expect("imported");
    assert!(contents(&source, C) == expected);
}

/// An image was begun after everything was written and before anything was adopted. It covered the
/// records and did not list the vBucket, whose state was then looked for after the image.
#[test]
fn image_made_during_an_import_does_not_lose_the_vbucket() {
    let (bytes, expected) = exported();
    let config = LogstorConfig {
        image_bytes: 0,
        image_percent: u32::MAX,
        ..OTHER
    };
    for steps in 0.. {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(B).expect("created");
        commit(&engine, B, &[set(1, "other", b"1")]).expect("committed");
        make_image(&engine).expect("made");
        let mut job = engine
            .import(A, Box::new(std::io::Cursor::new(bytes.clone())))
            .expect("new");
        let mut step = || job.step(Budget { items: 1, bytes: 1 }).expect("sound");
        let is_over = (0..steps).any(|_| matches!(step(), JobProgress::Done(_)));
        make_image(&engine).expect("made");
        let mut findings = Vec::new();
        let _looked = check_store(Arc::new(disk.clone()), &dir(), &mut findings).expect("readable");
        assert_eq!(findings, [], "{steps} steps before the image");
        while !is_over && !matches!(step(), JobProgress::Done(_)) {}
        let imported = whole(&engine, A);
        assert!(imported.0 == expected);
        drop((job, engine));
        disk.crash(PowerLoss::DropUnsynced);
        let with_image = dump(&open_with(&disk, config).expect("opens").0);
        assert!(hide_images(&disk, true) == 1, "it was made");
        let (engine, _) = open_with(&disk, config).expect("opens");
        assert_eq!(with_image, dump(&engine), "{steps} steps before the image");
        assert!(
            whole(&engine, A) == imported,
            "{steps} steps before the image"
        );
        audit(&engine, true);
        if is_over {
            assert!(steps > 5);
            break;
        }
    }
}
