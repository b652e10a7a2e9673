//! x
use std::sync::Arc;
use std::time::Instant;
use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Item, Key, Namespace, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::disk::MemoryDisk;
use lowtide_persistence::logstor::{Logstor, LogstorConfig};
use lowtide_persistence::{Batch, Engine};
fn main() {
    let mut best = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..7 {
        let disk = MemoryDisk::new();
        let (engine, _) = Logstor::open(Arc::new(disk), std::path::Path::new("/s"), LogstorConfig { disk_bytes: 2 << 30, ..LogstorConfig::DEFAULT }).unwrap();
        let vbs: Vec<Vbid> = (0..16).map(Vbid).collect();
        for &vb in &vbs { engine.create(vb).unwrap(); }
        let log = FailoverLog::new(VbUuid(1));
        let value = Bytes::from(vec![7_u8; 200]);
        let n = 4000_u64;
        let start = Instant::now();
        let mut seq = vec![0_u64; 16];
        for i in 0..n {
            let vb = (i % 16) as usize;
            let items: Vec<Item> = (0..20).map(|k| { seq[vb] += 1; Item { seqno: Seqno(seq[vb]), ..Item::mutation(Key::new(format!("key-{}", (i * 20 + k) % 30011).as_bytes()), value.clone()) } }).collect();
            let refs: Vec<&Item> = items.iter().collect();
            let state = VBucketState { snapshot_end: Seqno(seq[vb]), ..VBucketState::new(State::Active, log.clone()) };
            let r = engine.commit(&[Batch { vb: vbs[vb], items: &refs, state: &state, timestamp: i }]);
            assert!(r.iter().all(Result::is_ok));
        }
        let a = start.elapsed().as_secs_f64() / n as f64 * 1e6;
        // small commits
        let start = Instant::now();
        for i in 0..n {
            let vb = (i % 16) as usize;
            seq[vb] += 1;
            let item = Item { seqno: Seqno(seq[vb]), ..Item::mutation(Key::new(format!("key-{i}").as_bytes()), value.clone()) };
            let state = VBucketState { snapshot_end: Seqno(seq[vb]), ..VBucketState::new(State::Active, log.clone()) };
            let r = engine.commit(&[Batch { vb: vbs[vb], items: &[&item], state: &state, timestamp: i }]);
            assert!(r.iter().all(Result::is_ok));
        }
        let b = start.elapsed().as_secs_f64() / n as f64 * 1e6;
        let start = Instant::now();
        let mut found = 0;
        for i in 0..40000_u64 {
            let vb = vbs[(i % 16) as usize];
            found += usize::from(engine.get(vb, Namespace::Committed, &Key::new(format!("key-{}", i % 30011).as_bytes())).unwrap().is_some());
        }
        let c = start.elapsed().as_secs_f64() / 40000.0 * 1e6;
        best = (best.0.min(a), best.1.min(b), best.2.min(c));
        std::hint::black_box(found);
    }
    println!("commit20 {:.2} us  commit1 {:.2} us  get {:.3} us", best.0, best.1, best.2);
}
