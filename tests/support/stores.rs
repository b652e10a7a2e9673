//! Stores read back with the library: every vBucket's items, state and high seqno of a directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lowtide_checkpoint::{Item, Key, Seqno, VBucketState, Vbid};
use lowtide_persistence::couchstore::{Couchstore, CouchstoreConfig};
use lowtide_persistence::disk::{Disk, OsDisk};
use lowtide_persistence::{Engine, RecoveryReport, ScanLimit};

/// Contents of a vBucket in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVBucket {
    /// High seqno.
    pub high: Seqno,
    /// Newest revision of every key, tombstones included.
    pub items: BTreeMap<Key, Item>,
    /// State that was committed last.
    pub state: Option<VBucketState>,
}

/// Contents of a store.
pub type StoredNode = BTreeMap<Vbid, StoredVBucket>;

/// Opens a couchstore.
///
/// # Panics
///
/// If it can't be opened.
#[must_use]
pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> (Couchstore, RecoveryReport) {
    Couchstore::open(disk, dir, CouchstoreConfig::default()).expect("a store that opens")
}

/// Reads a vBucket, by seqno and again by key.
///
/// # Panics
///
/// If it can't be read, or if both ways differ in an item.
#[must_use]
pub fn read(engine: &dyn Engine, vb: Vbid) -> StoredVBucket {
    let snapshot = engine.snapshot(vb).expect("a vBucket");
    let mut items = BTreeMap::new();
    let (mut from, mut last) = (Some(Seqno::ZERO), Seqno::ZERO);
    while let Some(start) = from {
        let slice = snapshot
            .scan(start, Seqno::MAX, ScanLimit::new(100, 1 << 20))
            .expect("readable");
        for item in slice.items {
            assert!(
                item.seqno > last && item.seqno <= snapshot.high(),
                "vBucket {vb}: {item:?} after {last}"
            );
            last = item.seqno;
            let namespace = item.operation.namespace().expect("states are no items");
            let found = snapshot.get(namespace, &item.key).expect("readable");
            assert_eq!(
                found.as_ref(),
                Some(&item),
                "vBucket {vb}: by key and by seqno"
            );
            assert!(
                items.insert(item.key.clone(), item).is_none(),
                "vBucket {vb}: a key twice"
            );
        }
        from = slice.next;
    }
    StoredVBucket {
        high: snapshot.high(),
        items,
        state: snapshot.state().cloned(),
    }
}

/// Reads every vBucket.
///
/// # Panics
///
/// Same as [`read`].
#[must_use]
pub fn read_all(engine: &dyn Engine) -> StoredNode {
    engine
        .vbuckets()
        .into_iter()
        .map(|vb| (vb, read(engine, vb)))
        .collect()
}

/// Reads the stores of all nodes of a run with `--data`. Each is opened twice: the second time must
/// find nothing left to repair.
///
/// # Panics
///
/// Same as [`read`]; or if the second opening differs.
#[must_use]
pub fn read_cluster(data: &Path, nodes: usize) -> Vec<StoredNode> {
    let read_node = |node: usize| {
        let dir = data.join(format!("node-{node}"));
        let (engine, _repairs) = open(Arc::new(OsDisk::new()), &dir);
        let first = read_all(&engine);
        engine.close().expect("closed");
        drop(engine);
        let (engine, report) = open(Arc::new(OsDisk::new()), &dir);
        assert_eq!(
            report.repairs,
            [],
            "{}: nothing is left to repair",
            dir.display()
        );
        assert!(
            first == read_all(&engine),
            "{}: two openings differ",
            dir.display()
        );
        first
    };
    (0..nodes).map(read_node).collect()
}
