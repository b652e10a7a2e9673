//! The processor time of a store without writes, with one follower over all its vBuckets.

use std::path::Path;
use std::time::{Duration, Instant};

use lowtide_checkpoint::{ResumePoint, Vbid};
use rustix::time::{ClockId, clock_gettime};

use super::engines::EngineKind;
use super::{Arguments, Medians};
use crate::store::storage;

const VBUCKETS: u16 = 1_024;

pub fn run(arguments: &Arguments, dir: &Path) {
    let title = format!("an idle store of {VBUCKETS} vBuckets, a follower over all");
    let columns = ["% of a core", "ticks of /proc/self/stat"];
    let mut table = Medians::new(&title, &columns);
    let lasts = Duration::from_secs(2 * arguments.seconds);
    table.rows(arguments, |kind| life(kind, dir, lasts));
    table.print();
}

fn life(kind: EngineKind, dir: &Path, lasts: Duration) -> Vec<f64> {
    let dir = storage::new_dir(dir);
    let store = kind.open(dir.path(), kind.options().with_vbuckets(VBUCKETS));
    let all = (0..VBUCKETS).map(|vb| (Vbid(vb), ResumePoint::START));
    let mut follower = store.follow_all("reader", all).expect("open");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| while follower.wait_next().expect("open").is_some() {});
        // What opening has left to do.
        std::thread::park_timeout(Duration::from_secs(1));
        let (cpu, ticks, started) = (cpu_seconds(), ticks(), Instant::now());
        std::thread::park_timeout(lasts);
        let share = (cpu_seconds() - cpu) / started.elapsed().as_secs_f64();
        let ticks = self::ticks() - ticks;
        store.close().expect("a working disk");
        reader.join().expect("reads");
        vec![share * 100.0, ticks]
    })
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Returns the ticks of a hundredth of a second that the process has run.
fn ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let after_name = stat.rsplit(") ").next().expect("a name in brackets");
    let fields = after_name.split(' ').skip(11).take(2);
    fields
        .map(|field| field.parse::<f64>().expect("a number"))
        .sum()
}
