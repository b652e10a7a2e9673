//! Random histories of writes, flushes, fetches, rollbacks and evictions, compared with a naive
//! model: the list of all items, of which the engine has those up to a seqno.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write {
        key: usize,
        bytes: usize,
        deleted: bool,
    },
    Prepare {
        key: usize,
    },
    Complete {
        commit: bool,
    },
    Find {
        key: usize,
    },
    ReadEngine {
        fetch: usize,
    },
    EndFetch {
        fetch: usize,
    },
    Abandon {
        fetch: usize,
    },
    Persist {
        items: usize,
    },
    Rollback {
        items: usize,
    },
    Evict {
        entries: usize,
    },
    Limit {
        bytes: usize,
    },
    BeginFilter {
        expected: usize,
    },
    FillFilter {
        keys: usize,
    },
    CompleteFilter,
    AbandonFilter,
}

const KEYS: usize = 6;

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    let fetch = 0..4_usize;
    prop_oneof![
        6 => (key.clone(), 0..200_usize, any::<bool>())
            .prop_map(|(key, bytes, deleted)| Step::Write { key, bytes, deleted }),
        1 => key.clone().prop_map(|key| Step::Prepare { key }),
        1 => any::<bool>().prop_map(|commit| Step::Complete { commit }),
        6 => key.prop_map(|key| Step::Find { key }),
        4 => fetch.clone().prop_map(|fetch| Step::ReadEngine { fetch }),
        4 => fetch.clone().prop_map(|fetch| Step::EndFetch { fetch }),
        1 => fetch.prop_map(|fetch| Step::Abandon { fetch }),
        5 => (1..6_usize).prop_map(|items| Step::Persist { items }),
        1 => (0..6_usize).prop_map(|items| Step::Rollback { items }),
        2 => (0..20_usize).prop_map(|entries| Step::Evict { entries }),
        1 => (0..2000_usize).prop_map(|bytes| Step::Limit { bytes }),
        1 => (0..10_usize).prop_map(|expected| Step::BeginFilter { expected }),
        2 => (1..4_usize).prop_map(|keys| Step::FillFilter { keys }),
        1 => Just(Step::CompleteFilter),
        1 => Just(Step::AbandonFilter),
    ]
}

struct InProgress {
    fetch: Fetch,
    /// Answer of the engine, once it was read.
    read: Option<Option<Item>>,
    is_void: bool,
}

/// A scan for a filter, with the keys that the engine had when it began.
struct Scan {
    scan: FilterScan,
    left: Vec<Key>,
    is_void: bool,
}

struct Rig {
    documents: Documents,
    /// All items, ascending by seqno.
    history: Vec<Item>,
    /// The engine has the first ones.
    persisted: usize,
    next_seqno: u64,
    fetches: Vec<InProgress>,
    scan: Option<Scan>,
}

fn name(key: usize) -> Key {
    // One of them does not fit into the key itself.
    Key::new("k".repeat(if key == 0 { 40 } else { key }).as_bytes())
}

/// Returns the newest committed revision of a key among the items.
fn newest<'a>(items: impl DoubleEndedIterator<Item = &'a Item>, key: &Key) -> Option<Item> {
    items
        .rev()
        .find(|item| item.key == *key && item.operation.namespace() == Some(Namespace::Committed))
        .cloned()
}

impl Rig {
    fn new() -> Self {
        Self {
            documents: documents(1500),
            history: Vec::new(),
            persisted: 0,
            next_seqno: 1,
            fetches: Vec::new(),
            scan: None,
        }
    }

    fn newest(&self, key: &Key) -> Option<Item> {
        newest(self.history.iter(), key)
    }

    fn in_engine(&self, key: &Key) -> Option<Item> {
        newest(self.history.iter().take(self.persisted), key)
    }

    /// Returns the open prepares, by key.
    fn open_prepares(&self) -> BTreeMap<Key, Item> {
        let mut open = BTreeMap::new();
        for item in &self.history {
            match item.operation {
                Operation::Prepare => drop(open.insert(item.key.clone(), item.clone())),
                _ => drop(open.remove(&item.key)),
            }
        }
        open
    }

    fn write(&mut self, item: Item) {
        let item = Item {
            seqno: Seqno(self.next_seqno),
            ..item
        };
        self.next_seqno += 1;
        self.history.push(item.clone());
        self.documents.put(item);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Write {
                key,
                bytes,
                deleted,
            } => {
                // A store refuses to write a key with an open prepare.
                if self.documents.prepare_of(&name(key)).is_none() {
                    let value = Bytes::from(vec![0; bytes]);
                    self.write(if deleted {
                        Item::deletion(name(key))
                    } else {
                        Item::mutation(name(key), value)
                    });
                }
            }
            Step::Prepare { key } => {
                if self.documents.prepare_of(&name(key)).is_none() {
                    self.write(Item::new(Operation::Prepare, name(key)));
                }
            }
            Step::Complete { commit } => self.complete(commit),
            Step::Find { key } => self.find(&name(key)),
            Step::ReadEngine { fetch } => self.read_engine(fetch),
            Step::EndFetch { fetch } => self.end_fetch(fetch),
            Step::Abandon { fetch } => {
                if fetch < self.fetches.len() {
                    let ended = self.fetches.remove(fetch);
                    self.documents.abandon(ended.fetch);
                }
            }
            Step::Persist { items } => {
                self.persisted = self.history.len().min(self.persisted + items);
                self.documents.persisted(self.persisted_seqno());
            }
            Step::Rollback { items } => self.rollback(items),
            Step::Evict { entries } => {
                self.documents.evict(entries);
            }
            Step::Limit { bytes } => self.documents.budget.set_limit_bytes(bytes),
            Step::BeginFilter { expected } => {
                let left = (0..KEYS).map(name);
                self.scan = Some(Scan {
                    left: left.filter(|key| self.in_engine(key).is_some()).collect(),
                    scan: self.documents.begin_filter(expected),
                    is_void: false,
                });
            }
            Step::FillFilter { keys } => self.fill_filter(keys),
            Step::CompleteFilter => {
                self.fill_filter(KEYS);
                if let Some(Scan { scan, is_void, .. }) = self.scan.take() {
                    assert_eq!(self.documents.complete_filter(scan).is_err(), is_void);
                }
            }
            Step::AbandonFilter => {
                if let Some(Scan { scan, .. }) = self.scan.take() {
                    self.documents.abandon_filter(scan);
                }
            }
        }
    }

    fn fill_filter(&mut self, keys: usize) {
        let Some(Scan {
            scan,
            left,
            is_void,
        }) = &mut self.scan
        else {
            return;
        };
        for key in left.drain(..keys.min(left.len())) {
            assert_eq!(self.documents.filter_key(scan, &key).is_err(), *is_void);
        }
    }

    fn persisted_seqno(&self) -> Seqno {
        let last = self.history.get(..self.persisted).and_then(<[Item]>::last);
        last.map_or(Seqno::ZERO, |item| item.seqno)
    }

    /// Ends the oldest durable write.
    fn complete(&mut self, commit: bool) {
        let open = self.open_prepares();
        let Some(prepare) = open.values().min_by_key(|item| item.seqno) else {
            return;
        };
        self.write(Item {
            operation: if commit {
                Operation::Commit
            } else {
                Operation::Abort
            },
            prepare_seqno: prepare.seqno,
            ..prepare.clone()
        });
    }

    /// Guards D1 and D6 where memory answers.
    fn find(&mut self, key: &Key) {
        let newest = self.newest(key);
        match self.documents.find(key) {
            Found::Revision(item) => assert_eq!(Some(item), newest),
            Found::Absent => assert_eq!(None, newest),
            Found::Unknown(fetch) => self.fetches.push(InProgress {
                fetch,
                read: None,
                is_void: false,
            }),
        }
    }

    fn read_engine(&mut self, fetch: usize) {
        let Some(key) = self.fetches.get(fetch).map(|one| one.fetch.key().clone()) else {
            return;
        };
        let stored = self.in_engine(&key);
        if let Some(one) = self.fetches.get_mut(fetch) {
            one.read.get_or_insert(stored);
        }
    }

    /// Guards D1 where the engine answers, D4 and D5.
    fn end_fetch(&mut self, fetch: usize) {
        self.read_engine(fetch);
        if fetch >= self.fetches.len() {
            return;
        }
        let ended = self.fetches.remove(fetch);
        let key = ended.fetch.key().clone();
        let (used, limit) = (
            self.documents.budget.used_bytes(),
            self.documents.budget.limit_bytes(),
        );
        let result = self.documents.fetched(ended.fetch, ended.read.flatten());
        if ended.is_void {
            assert_eq!(result, Err(FetchError::Void));
        } else {
            assert_eq!(result, Ok(self.newest(&key)));
            // Another fetch of the key keeps what this one has brought.
            let is_kept = self.is_fetched(&key);
            assert!(is_kept || self.documents.budget.used_bytes() <= used.max(limit));
        }
    }

    fn is_fetched(&self, key: &Key) -> bool {
        let mut fetches = self.fetches.iter();
        fetches.any(|one| !one.is_void && one.fetch.key() == key)
    }

    fn rollback(&mut self, items: usize) {
        self.persisted -= items.min(self.persisted);
        self.history.truncate(self.persisted);
        self.documents.clear(self.persisted_seqno());
        for one in &mut self.fetches {
            one.is_void = true;
        }
        if let Some(scan) = &mut self.scan {
            scan.is_void = true;
        }
        for prepare in self.open_prepares().into_values() {
            self.documents.put(prepare);
        }
    }

    /// Guards D2 and D3.
    fn check(&self) {
        assert_sound(&self.documents);
        let stats = self.documents.stats();
        assert_eq!(self.documents.budget.used_bytes(), stats.memory_bytes);
        for item in self.history.iter().skip(self.persisted) {
            let known = self.documents.table.find(&item.key);
            assert!(
                known.is_some() || item.operation.namespace() == Some(Namespace::Prepared),
                "{item:?} is neither persisted nor in memory"
            );
        }
        let open = self.open_prepares();
        assert_eq!(stats.prepares, open.len());
        for (key, prepare) in &open {
            assert_eq!(self.documents.prepare_of(key), Some(prepare));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Guards D1 to D6 over any history.
    #[test]
    fn any_history_matches_the_list_of_all_items(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut rig = Rig::new();
        for step in steps {
            rig.run(step);
            rig.check();
        }
        // Whatever is still in progress ends.
        while !rig.fetches.is_empty() {
            rig.end_fetch(0);
            rig.check();
        }
        for key in 0..KEYS {
            rig.find(&name(key));
        }
    }
}
