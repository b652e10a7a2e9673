//! A memory control group (version 1): a process joins it, is told what its memory is, and its page cache is held to a size.
//!
//! Always: the limit is what the group uses beside the page cache, and so many bytes for that. So an engine has all the memory
//! it asks for, and what it takes for itself gives it no more page cache, nor less. Who asks for more than the limit waits
//! until it is raised, and is not killed; so whoever raises it is outside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::store::storage;

/// How often the kernel is asked to take pages away that it is still writing.
const TRIES: usize = 20;
/// How often it is looked what the group uses.
const PAUSE: Duration = Duration::from_millis(2);

/// A group that this process made; removed with it, once nobody is in it.
pub struct Group(PathBuf);

impl Group {
    /// Below this process's own group.
    ///
    /// # Errors
    /// Why none can be made.
    pub fn make() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let fields = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let mut of_memory = fields.filter(|fields| {
            fields.len() > 3
                && fields[2] == "cgroup"
                && fields[3].split(',').any(|option| option == "memory")
        });
        let mount = of_memory
            .next()
            .ok_or("no control groups of version 1 with a memory controller are mounted")?;
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut of_memory = groups
            .lines()
            .filter_map(|line| line.split_once(":memory:"));
        let (_, inside) = of_memory
            .next()
            .ok_or("this process is in no memory control group")?;
        let above = Path::new(mount[1]).join(inside.trim_start_matches('/'));
        let path = above.join(format!("lowtide-bench-{}", std::process::id()));
        let failed = |error: io::Error| format!("{}: {error} (it takes root)", path.display());
        fs::create_dir(&path).map_err(failed)?;
        let group = Self(path.clone());
        // Where there is swap, what an engine has in memory stays there.
        fs::write(path.join("memory.swappiness"), "0").map_err(failed)?;
        // Not to be killed for lack of memory, but to wait.
        fs::write(path.join("memory.oom_control"), "1").map_err(failed)?;
        Ok(group)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// This process, and whatever threads it will have, are in the group from now on.
    pub fn join(path: &Path) {
        fs::write(path.join("cgroup.procs"), "0").expect("its parent made it");
    }

    /// Holds the page cache to so many bytes while something is done, after it was emptied of what the directory's files
    /// have in it. Also says the most that the group used beside it.
    pub fn holding<T>(&self, cache_bytes: u64, dir: &Path, work: impl FnOnce() -> T) -> (T, u64) {
        for left in (0..TRIES).rev() {
            storage::forget_cached(dir);
            match self.hold(cache_bytes) {
                Ok(_) => break,
                Err(error) if left == 0 => panic!("the group does not get smaller: {error}"),
                Err(_) => {}
            }
        }
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let minder = scope.spawn(|| {
                let mut most = 0;
                while !is_over.load(Ordering::Relaxed) {
                    // Where the kernel is writing what would have to go, the next time.
                    most = self.hold(cache_bytes).map_or(most, |bytes| most.max(bytes));
                    std::thread::park_timeout(PAUSE);
                }
                most
            });
            let done = work();
            is_over.store(true, Ordering::Relaxed);
            let most = minder.join().expect("goes on");
            // Nobody raises it any more.
            fs::write(self.0.join("memory.limit_in_bytes"), "-1").expect("its own");
            (done, most)
        })
    }

    /// The limit for now; what the group uses beside the page cache.
    fn hold(&self, cache_bytes: u64) -> io::Result<u64> {
        let beside = self.beside_cache_bytes();
        fs::write(
            self.0.join("memory.limit_in_bytes"),
            (beside + cache_bytes).to_string(),
        )?;
        Ok(beside)
    }

    /// What the group uses beside the page cache: an engine's own memory, and the kernel's for it.
    pub fn beside_cache_bytes(&self) -> u64 {
        let stat = fs::read_to_string(self.0.join("memory.stat")).expect("the controller has it");
        let cache = stat
            .lines()
            .find_map(|line| line.strip_prefix("cache "))
            .expect("the controller has it");
        let usage = fs::read_to_string(self.0.join("memory.usage_in_bytes"))
            .expect("the controller has it");
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        number(&usage).saturating_sub(number(cache))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}
