//! The time from a write to a follower in another thread, at a steady rate.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lowtide_checkpoint::{ResumePoint, Vbid};
use lowtide_persistence::{FollowerEvent, Store};

use super::engines::{EngineKind, VBUCKETS, flush, large_quota, quantile, set, vb_of};
use super::{Arguments, Medians};
use crate::engines::VALUE_BYTES;
use crate::paced::paced;
use crate::race::{Part, race};
use crate::store::{storage, work};

/// Writes a second.
const RATE: u64 = 200_000;
const LONG: Duration = Duration::from_secs(60);

pub fn run(arguments: &Arguments, dir: &Path) {
    let title = format!("from a write to a follower in another thread, {RATE} a second");
    let columns = ["p50 us", "p99 us", "p99.9 us", "longest us"];
    let mut table = Medians::new(&title, &columns);
    table.rows(arguments, |kind| life(kind, dir, arguments.seconds * RATE));
    table.print();
}

fn life(kind: EngineKind, dir: &Path, count: u64) -> Vec<f64> {
    let dir = storage::new_dir(dir);
    let store = kind.open(dir.path(), kind.options().with_quota(large_quota()));
    let mut times = Vec::with_capacity(count as usize);
    let base = Instant::now();
    let nanos = move || base.elapsed().as_nanos() as u64;
    let writer: Part<'_> = Box::new(|| {
        paced(RATE, count, |n| {
            let mut value = [0; VALUE_BYTES];
            value[..8].copy_from_slice(&nanos().to_be_bytes());
            let value = Bytes::copy_from_slice(&value);
            set(&store, vb_of(n), &work::key(n), &value);
        });
    });
    let reader: Part<'_> = Box::new(|| follow(&store, count, &nanos, &mut times));
    race(vec![writer, reader]);
    flush(&store);
    store.close().expect("a working disk");
    times.sort_unstable();
    [500, 990, 999, 1_000]
        .map(|permille| quantile(&times, permille) / 1e3)
        .to_vec()
}

/// Reads `count` timed documents.
fn follow(store: &Store, count: u64, nanos: &dyn Fn() -> u64, times: &mut Vec<u64>) {
    let all = (0..VBUCKETS).map(|vb| (Vbid(vb), ResumePoint::START));
    let mut follower = store.follow_all("reader", all).expect("open");
    while times.len() < count as usize {
        let followed = follower.next_for(LONG).expect("open").expect("in time");
        let FollowerEvent::Items(items) = followed.event else {
            continue;
        };
        let now = nanos();
        for item in items.iter() {
            let value = item.value.as_deref().unwrap_or_default();
            // The first document has no time.
            let Some(written) = value.first_chunk() else {
                continue;
            };
            times.push(now.saturating_sub(u64::from_be_bytes(*written)));
        }
    }
}
