//! A memory control group (version 1): a process joins it, and its page cache is held to a size.
//!
//! The limit is always the group's use outside the page cache, and a fixed number of bytes for the
//! page cache. So an engine has all the memory that it asks for, which changes its page cache
//! neither way. A process that needs more than the limit waits until it is raised, and is not
//! killed. So the process that raises the limit is outside the group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::store::storage;

/// Number of times that the kernel is asked to drop pages that it is still writing.
const TRIES: usize = 20;
/// Time between two looks at the group's use.
const PAUSE: Duration = Duration::from_millis(2);

/// Group that this process made; removed on drop, once it is empty.
pub struct Group(PathBuf);

impl Group {
    /// Makes a group below this process's own group.
    ///
    /// # Errors
    ///
    /// The reason why the group can't be made.
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
        // If there is swap, an engine's memory must not move there.
        fs::write(path.join("memory.swappiness"), "0").map_err(failed)?;
        // A process that lacks memory must wait, not be killed.
        fs::write(path.join("memory.oom_control"), "1").map_err(failed)?;
        Ok(group)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Joins the group with this process and all threads that it starts later.
    pub fn join(path: &Path) {
        fs::write(path.join("cgroup.procs"), "0").expect("its parent made it");
    }

    /// Holds the page cache to `cache_bytes` during `work`, after dropping the pages of the
    /// directory's files. Also returns the most bytes that the group used outside the page cache.
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
                    // Pages that the kernel is writing are dropped in the next round.
                    most = self.hold(cache_bytes).map_or(most, |bytes| most.max(bytes));
                    std::thread::park_timeout(PAUSE);
                }
                most
            });
            let done = work();
            is_over.store(true, Ordering::Relaxed);
            let most = minder.join().expect("goes on");
            // The limit is lifted, because nothing raises it any more.
            fs::write(self.0.join("memory.limit_in_bytes"), "-1").expect("its own");
            (done, most)
        })
    }

    /// Sets the limit for now; returns the group's use outside the page cache.
    fn hold(&self, cache_bytes: u64) -> io::Result<u64> {
        let beside = self.beside_cache_bytes();
        fs::write(
            self.0.join("memory.limit_in_bytes"),
            (beside + cache_bytes).to_string(),
        )?;
        Ok(beside)
    }

    /// Returns the group's use outside the page cache: an engine's own memory, and the kernel's for
    /// it.
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
