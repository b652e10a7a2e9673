//! Actions on a store before its index is loaded, compared with a store that has loaded it all.

use std::collections::BTreeMap;

use lowtide_checkpoint::Namespace;

use super::action::{UnloadedAction, batch};
use super::world::{World, id};
use crate::contract::Engine;
use crate::disk::{MemoryDisk, PowerLoss};
use crate::logstor::Logstor;
use crate::logstor::tests::support::{
    SMALL, apply, commit, delete, dump, fork, numbered, open_with,
};

impl World {
    /// Takes actions on a store that is not loaded, and the same on a store that loaded everything
    /// first. Both know the same in the end.
    pub(super) fn run_unloaded(&mut self, seed: u64, steps: &[UnloadedAction]) {
        self.pinned.clear();
        let kill = |disk: &MemoryDisk, engine: &mut Logstor, seed: u64| {
            let placeholder = open_with(&MemoryDisk::new(), SMALL).expect("opens").0;
            drop(std::mem::replace(engine, placeholder));
            disk.crash(PowerLoss::Random { seed });
            *engine = open_with(disk, self.config).expect("opens").0;
        };
        kill(&self.disk, &mut self.engine, seed);
        let other_disk = fork(&self.disk);
        let mut other = open_with(&other_disk, self.config).expect("opens").0;
        other.store.registry.load_all().expect("readable");
        let mut ends: BTreeMap<bool, u64> = [true, false]
            .map(|vb| (vb, other.info(id(vb)).expect("there").high.0))
            .into();
        let mut has_rewritten = false;
        for step in steps {
            match step {
                UnloadedAction::Get { vb, key } => {
                    let key = numbered(*key, delete(1, "")).key;
                    let found = self
                        .engine
                        .get(id(*vb), Namespace::Committed, &key)
                        .expect("readable");
                    assert_eq!(
                        found.as_ref(),
                        self.now[vb].values().find(|item| item.key == key)
                    );
                }
                UnloadedAction::Commit { vb, keys } => {
                    let batch = batch(ends[vb], keys);
                    ends.entry(*vb)
                        .and_modify(|high| *high += batch.len() as u64);
                    for engine in [&self.engine, &other] {
                        commit(engine, id(*vb), &batch).expect("committed");
                        let counters = &engine.store.context.counters;
                        has_rewritten |= counters.records_rewritten.get() > 0;
                        has_rewritten |= counters.segments_compacted.get() > 0;
                    }
                    let next = apply(&self.now[vb], &batch);
                    self.now.insert(*vb, next);
                }
                UnloadedAction::Load { vb } => drop(self.engine.info(id(*vb)).expect("readable")),
                UnloadedAction::Crash { seed } => {
                    kill(&self.disk, &mut self.engine, *seed);
                    kill(&other_disk, &mut other, *seed);
                    other.store.registry.load_all().expect("readable");
                }
            }
        }
        // Where space is short, one store may have rewritten records that the other only loaded.
        if !has_rewritten {
            assert_eq!(
                dump(&self.engine),
                dump(&other),
                "early, and when everything was loaded"
            );
        }
        self.exact = true;
    }
}
