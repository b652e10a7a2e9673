//! The child: it opens the store, reports what is on disk, and then writes and follows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{State, Vbid};
use lowtide_persistence::{Store, StoreError};

use super::disk::SoakDisk;
use super::followers::{Goal, Places, Reading};
use super::lines::Line;
use super::plan::{self, Engine, FOLLOWERS, Mode, VBUCKETS, WRITERS};
use super::progress::Progress;

use super::stored;
use super::told::{TellingObserver, bad, tell};
use super::writer::{Documents, Writer};
use crate::killing::draw;

/// Runs a child until it is killed, or until its mode's end.
///
/// # Panics
///
/// If the arguments are not those of [`super::Soak`].
pub fn serve(arguments: &[String]) {
    let [dir, engine, seed, mode, places] = arguments else {
        panic!("a directory, an engine, a seed, a mode, and a file of places")
    };
    let engine: Engine = engine.parse().expect("an engine");
    let mut seed: u64 = seed.parse().expect("a number");
    let mode: Mode = mode.parse().expect("a mode");
    let places = std::fs::read_to_string(places).expect("a readable file");
    let places = Places::parse(&places).expect("places");
    let disk = SoakDisk::new(draw(&mut seed, u64::MAX));
    disk.arm(mode != Mode::Read && draw(&mut seed, 3) == 0);
    let store = open(Path::new(dir), engine, &disk);
    let documents = report(&store);
    let child = Child {
        store: &store,
        disk: &disk,
        places: &places,
        documents,
    };
    match mode {
        Mode::Read => {}
        Mode::Run => child.run(&mut seed, u64::MAX),
        Mode::Close { writes } => child.run(&mut seed, writes),
        Mode::Finish { writes } => child.finish(&mut seed, writes),
    }
}

/// Opens the store, on a sound disk if a failing one prevents it.
fn open(dir: &Path, engine: Engine, disk: &SoakDisk) -> Store {
    let options = || {
        let options = engine.options(Arc::new(disk.clone()));
        options.with_observer(Arc::new(TellingObserver))
    };
    let opened = Store::open(dir, options()).or_else(|error| {
        if !matches!(error, StoreError::Engine(_)) {
            bad(format!("the store cannot be opened: {error}"));
        }
        disk.arm(false);
        tell(&[Line::OpenFailed]);
        Store::open(dir, options())
    });
    match opened {
        Ok(store) => store,
        Err(error) => bad(format!(
            "the store cannot be opened on a sound disk: {error}"
        )),
    }
}

/// Reports what is on disk, and returns the documents.
fn report(store: &Store) -> Documents {
    let found = store.report();
    let was_orderly = found.was_orderly;
    tell(&[Line::Opened { was_orderly }]);
    if !found.unreadable.is_empty() {
        bad(format!("unreadable vBuckets: {:?}", found.unreadable));
    }
    let states = store.vbuckets();
    let expected: Vec<_> = (0..VBUCKETS).map(|vb| (Vbid(vb), State::Active)).collect();
    if states != expected {
        bad(format!("vBuckets {states:?}"));
    }
    let lines = match stored::all(store) {
        Ok(lines) => lines,
        Err(error) => bad(format!("the store cannot be read: {error}")),
    };
    tell(&lines);
    tell(&[Line::Ready]);
    let documents = lines.into_iter().filter_map(|line| match line {
        Line::Stored { vb, written } => Some(((vb, written.key), written.digest)),
        _ => None,
    });
    documents.collect()
}

struct Child<'a> {
    store: &'a Store,
    disk: &'a SoakDisk,
    places: &'a Places,
    documents: Documents,
}

impl Child<'_> {
    /// Writes and follows on a failing disk, and closes the store then.
    fn run(&self, seed: &mut u64, writes: u64) {
        let (progress, goal) = (Progress::default(), Goal::default());
        self.disk.arm(true);
        let closes_on_sound_disk = draw(seed, 2) == 0;
        std::thread::scope(|scope| {
            self.start_followers(scope, &progress, &goal, false);
            self.write(seed, &progress, writes);
            progress.end();
            if closes_on_sound_disk {
                self.disk.arm(false);
                self.write_last(&progress);
            }
            self.close(closes_on_sound_disk);
        });
    }

    /// Writes on a failing disk first, then on a sound one, until every follower has everything.
    fn finish(&self, seed: &mut u64, writes: u64) {
        let (progress, goal) = (Progress::default(), Goal::default());
        self.disk.arm(true);
        std::thread::scope(|scope| {
            let reading = self.start_followers(scope, &progress, &goal, true);
            self.write(seed, &progress, writes);
            self.disk.arm(false);
            progress.end();
            self.publish(&goal);
            // Every follower hears of the goal with an event that comes after it.
            self.write_last(&progress);
            for thread in reading {
                thread.join().expect("no panic");
            }
            self.close(true);
        });
    }

    fn start_followers<'scope>(
        &'scope self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        progress: &'scope Progress,
        goal: &'scope Goal,
        has_goal: bool,
    ) -> Vec<std::thread::ScopedJoinHandle<'scope, ()>> {
        let start = |number| {
            let mut reading = Reading::new(self.store, progress, goal, self.places, number);
            reading.has_goal = has_goal;
            scope.spawn(move || reading.run())
        };
        (0..FOLLOWERS).map(start).collect()
    }

    fn writer<'a>(&'a self, progress: &'a Progress, number: u64, seed: u64) -> Writer<'a> {
        Writer {
            store: self.store,
            progress,
            number,
            seed,
            documents: self.documents.clone(),
        }
    }

    /// Runs all writers to their end.
    fn write(&self, seed: &mut u64, progress: &Progress, writes: u64) {
        std::thread::scope(|scope| {
            for number in 0..WRITERS {
                let writer = self.writer(progress, number, draw(seed, u64::MAX));
                scope.spawn(move || writer.run(writes));
            }
        });
    }

    /// Writes to each vBucket, and waits. An engine that failed before is reopened by it: a store that
    /// is closed reopens none, and reports the writes that are lost.
    fn write_last(&self, progress: &Progress) {
        let mut last = self.writer(progress, 0, 0);
        for vb in (0..VBUCKETS).map(Vbid) {
            let write = last.make(vb, plan::LAST_KEY, vec![1; 9]);
            let persisted = write.map(|write| write.wait_persisted());
            if !matches!(persisted, Some(Ok(()))) {
                bad(format!("vBucket {vb}: the last write: {persisted:?}"));
            }
        }
    }

    fn publish(&self, goal: &Goal) {
        let goals = (0..VBUCKETS)
            .map(Vbid)
            .map(|vb| match self.store.high_seqno(vb) {
                Ok(high) => (vb, high.next().0),
                Err(error) => bad(error),
            });
        let goals: BTreeMap<_, _> = goals.collect();
        *goal.lock().expect("no panic") = Some(goals);
    }

    fn close(&self, must_succeed: bool) {
        let closed = self.store.close();
        if let (true, Err(error)) = (must_succeed, &closed) {
            bad(format!(
                "the store cannot be closed on a sound disk: {error}"
            ));
        }
        let in_order = closed.is_ok();
        tell(&[Line::Closed { in_order }]);
    }
}
