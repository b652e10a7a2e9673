//! State of an engine's world, and its commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::internal::violated;
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::disk::{FaultyDisk, MemoryDisk, PowerLoss};
use lowtide_persistence::{
    CommitBatch, CompactionRequest, Engine, RolledBack, ScanLimit, Snapshot,
};

use super::jobs::Jobs;
use super::prepared::Prepared;
use super::words::{CLOSED, INTERNAL, POWER_LOST, UNKNOWN_SNAPSHOT, kind, nothing};
use crate::script::language::{EngineCommand, EngineOptions, Fill, Store, View, Write};
use crate::script::worlds::clock::Clock;
use crate::script::worlds::print::{self, Output, ScanDigest};

/// Limit of one slice of a scan: small enough that scenarios cross the boundary of two slices.
const SLICE: ScanLimit = ScanLimit::new(100, 1 << 20);

#[derive(Debug)]
pub(in crate::script) struct EngineWorld {
    options: EngineOptions,
    disk: FaultyDisk,
    engine: Opened,
    /// By name, each with its vBucket.
    snapshots: BTreeMap<String, (Vbid, Box<dyn Snapshot>)>,
    jobs: Jobs,
    clock: Clock,
}

/// The engine, or the kind of error that every command returns until it is reopened.
type Opened = Result<Store, &'static str>;

impl EngineWorld {
    /// Creates an empty store with vBucket 0, and returns the result of opening it.
    pub(in crate::script::worlds) fn new(
        options: &EngineOptions,
    ) -> (Self, Result<(), &'static str>) {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let mut world = Self {
            engine: Err(CLOSED),
            options: options.clone(),
            disk,
            snapshots: BTreeMap::new(),
            jobs: Jobs::default(),
            clock: Clock::default(),
        };
        let opened = world
            .open()
            .and_then(|()| world.engine()?.create(Vbid(0)).map_err(kind));
        (world, opened)
    }

    pub(in crate::script::worlds) fn run(&mut self, command: &EngineCommand) -> Output {
        match command {
            EngineCommand::Commit { vb, writes } => self.commit(*vb, writes, None),
            EngineCommand::Put { vb, seqno, write } => {
                self.commit(*vb, std::slice::from_ref(write), Some(*seqno))
            }
            EngineCommand::CommitGroup(batches) => self.commit_group(batches),
            EngineCommand::Fill(fill) => self.fill(fill),
            EngineCommand::Get { vb, key } => {
                let document = self
                    .engine()?
                    .get(*vb, lowtide_checkpoint::Namespace::Committed, key)
                    .map_err(kind)?;
                Ok(vec![print::document(document.as_ref())])
            }
            EngineCommand::Scan { view, from, to } => {
                let mut rows = Vec::new();
                self.scan(view, *from, *to, |item| rows.push(print::row(item)))?;
                Ok(rows)
            }
            EngineCommand::Digest(view) => {
                let mut digest = ScanDigest::default();
                self.scan(view, Seqno::ZERO, Seqno::MAX, |item| digest.add(item))?;
                Ok(vec![digest.line()])
            }
            EngineCommand::Snapshot { name, vb } => {
                let snapshot = self.engine()?.snapshot(*vb).map_err(kind)?;
                let high = snapshot.high();
                self.snapshots.insert(name.clone(), (*vb, snapshot));
                Ok(vec![format!("high={high}")])
            }
            EngineCommand::Release { name } => {
                self.engine()?;
                self.snapshots
                    .remove(name)
                    .map(|_| Vec::new())
                    .ok_or(UNKNOWN_SNAPSHOT)
            }
            EngineCommand::Drop(vb) => nothing(self.engine()?.drop_vbucket(*vb)),
            EngineCommand::Create(vb) => nothing(self.engine()?.create(*vb)),
            EngineCommand::Rollback { vb, to } => {
                Ok(vec![
                    match self.engine()?.rollback(*vb, *to).map_err(kind)? {
                        RolledBack::Done { high } => format!("high={high}"),
                        RolledBack::NeedsReset { lowest } => format!("needs-reset lowest={lowest}"),
                    },
                ])
            }
            EngineCommand::Purge { vb, upto } => {
                let purged = self.engine()?.purge(*vb, *upto).map_err(kind)?;
                Ok(vec![format!("purged={purged}")])
            }
            EngineCommand::Info(vb) => {
                let info = self.engine()?.info(*vb).map_err(kind)?;
                let (high, purge, items, deleted) =
                    (info.high, info.purge, info.items, info.deleted);
                Ok(vec![format!(
                    "high={high} purge={purge} items={items} deleted={deleted}"
                )])
            }
            EngineCommand::Stats => {
                let figures = self.engine()?.stats().figures();
                Ok(figures
                    .iter()
                    .map(|figure| format!("{}={}", figure.name, figure.value))
                    .collect())
            }
            EngineCommand::FailWrite { nth, fault } => {
                self.disk.fail_write(*nth, *fault);
                Ok(Vec::new())
            }
            EngineCommand::FailSync { nth } => {
                self.disk.fail_sync(*nth);
                Ok(Vec::new())
            }
            EngineCommand::Compact { vb, pause } => {
                let job = self
                    .engine()?
                    .compact(*vb, CompactionRequest::default())
                    .map_err(kind)?;
                self.jobs.begin(job, *pause, &self.disk)
            }
            EngineCommand::Resume { pause } => {
                self.engine()?;
                self.jobs.resume(*pause, &self.disk)
            }
            EngineCommand::Separate => {
                self.engine()?;
                let Ok(Store::Log(store)) = &self.engine else {
                    return Err("unsupported");
                };
                let job = store.separate().map_err(kind)?;
                self.jobs
                    .begin(job, None, &self.disk)
                    .map(|_done| Vec::new())
            }
            EngineCommand::CrashAtPoint(point) => {
                self.jobs.crash_at(*point);
                Ok(Vec::new())
            }
            EngineCommand::CrashAtIo(nth) => {
                self.disk.power_off_at_io(*nth);
                Ok(Vec::new())
            }
            EngineCommand::Crash { keep, seed } => {
                self.crash(keep.with_seed(seed.unwrap_or(self.options.seed)));
                Ok(Vec::new())
            }
            EngineCommand::Reopen => self.reopen(),
        }
    }

    fn engine(&self) -> Result<&dyn Engine, &'static str> {
        if self.disk.is_off() {
            return Err(POWER_LOST);
        }
        self.engine.as_ref().map(Store::engine).map_err(|&why| why)
    }

    fn open(&mut self) -> Result<(), &'static str> {
        let observer = self.jobs.observer(&self.disk);
        self.engine = self
            .options
            .open(Arc::new(self.disk.clone()), &observer)
            .map_err(kind);
        self.engine().map(|_| ())
    }

    fn crash(&mut self, keep: PowerLoss) {
        // The power is turned off before the store and its jobs are dropped, and on after them:
        // their drops must not reach the disk.
        self.disk.power_off();
        self.close(POWER_LOST);
        self.disk.crash(keep);
    }

    fn reopen(&mut self) -> Output {
        if self.disk.is_off() {
            self.crash(PowerLoss::DropUnsynced);
        } else if let Ok(engine) = &self.engine {
            self.jobs.abort();
            // A store that fails to close is opened as after a crash; its acknowledged data is
            // safe.
            let _ = engine.engine().close();
            self.close(CLOSED);
        }
        if self.disk.is_off() {
            return Err(POWER_LOST);
        }
        self.open().map(|()| vec!["recovered".to_owned()])
    }

    /// Drops the store and everything that reads from it, so its directory is free.
    fn close(&mut self, why: &'static str) {
        self.snapshots.clear();
        self.jobs.abort();
        self.engine = Err(why);
    }

    fn commit(&mut self, vb: Vbid, writes: &[Write], seqno: Option<Seqno>) -> Output {
        self.engine()?;
        let prepared = self.prepare(vb, writes, seqno)?;
        let results = self.commit_all(std::slice::from_ref(&prepared))?;
        // `commit_all` has compared their number.
        let high = results.into_iter().next().unwrap_or(Err(INTERNAL))?;
        Ok(vec![format!("high={high}")])
    }

    fn commit_group(&mut self, batches: &BTreeMap<Vbid, Vec<Write>>) -> Output {
        self.engine()?;
        let mut results = BTreeMap::new();
        let mut group = Vec::new();
        for (&vb, writes) in batches {
            match self.prepare(vb, writes, None) {
                Ok(prepared) => group.push(prepared),
                Err(kind) => drop(results.insert(vb, Err(kind))),
            }
        }
        results.extend(
            group
                .iter()
                .map(|prepared| prepared.vb)
                .zip(self.commit_all(&group)?),
        );
        let line = |(vb, result): (Vbid, Result<Seqno, _>)| match result {
            Ok(high) => format!("vb={vb} high={high}"),
            Err(kind) => format!("vb={vb} error: {kind}"),
        };
        Ok(results.into_iter().map(line).collect())
    }

    fn fill(&mut self, fill: &Fill) -> Output {
        let write = |number: u64| {
            let key = fill
                .keys
                .key(fill.modulo.map_or(number, |modulo| number % modulo));
            Write {
                key: lowtide_checkpoint::Key::new(key.as_bytes()),
                value: Some(fill.size.clone()),
            }
        };
        let mut numbers = fill.from..=fill.to;
        let mut output = Vec::new();
        loop {
            let writes: Vec<_> = numbers.by_ref().take(fill.batch).map(write).collect();
            if writes.is_empty() {
                return Ok(output);
            }
            output = self.commit(fill.vb, &writes, None)?;
        }
    }

    fn prepare(
        &mut self,
        vb: Vbid,
        writes: &[Write],
        seqno: Option<Seqno>,
    ) -> Result<Prepared, &'static str> {
        let snapshot = self.engine()?.snapshot(vb).map_err(kind)?;
        Prepared::new(vb, writes, seqno, snapshot.as_ref(), &mut self.clock)
    }

    /// Commits in one engine call, and returns the high seqno of each vBucket, in their order.
    fn commit_all(
        &self,
        group: &[Prepared],
    ) -> Result<Vec<Result<Seqno, &'static str>>, &'static str> {
        let items: Vec<Vec<_>> = group
            .iter()
            .map(|prepared| prepared.items.iter().collect())
            .collect();
        let batches: Vec<_> = group
            .iter()
            .zip(&items)
            .map(
                |(
                    Prepared {
                        vb,
                        state,
                        timestamp,
                        ..
                    },
                    items,
                )| CommitBatch::new(*vb, items, state).with_timestamp(*timestamp),
            )
            .collect();
        let results = self.engine()?.commit(&batches);
        if results.len() != batches.len() {
            // Which of the batches are committed is unknown.
            let _violation = violated("E10", "each batch has one result");
            return Err(INTERNAL);
        }
        if self.disk.is_off() && results.iter().all(Result::is_ok) {
            // The commit is done, and its result is lost.
            return Err(POWER_LOST);
        }
        Ok(results
            .into_iter()
            .map(|result| result.map(|committed| committed.high).map_err(kind))
            .collect())
    }

    fn scan(
        &self,
        view: &View,
        from: Seqno,
        to: Seqno,
        mut each: impl FnMut(&lowtide_checkpoint::Item),
    ) -> Result<(), &'static str> {
        let engine = self.engine()?;
        let pinned;
        let snapshot = match view {
            View::Now(vb) => {
                pinned = engine.snapshot(*vb).map_err(kind)?;
                pinned.as_ref()
            }
            View::At { snapshot, vb } => {
                let (of, snapshot) = self.snapshots.get(snapshot).ok_or(UNKNOWN_SNAPSHOT)?;
                if vb.is_some_and(|vb| vb != *of) {
                    return Err("invalid-argument");
                }
                snapshot.as_ref()
            }
        };
        let mut next = Some(from);
        while let Some(from) = next {
            let slice = snapshot.scan(from, to, SLICE).map_err(kind)?;
            slice.items.iter().for_each(&mut each);
            next = slice.next;
        }
        Ok(())
    }
}
