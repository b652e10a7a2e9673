#!/usr/bin/env bash
# loom never runs the branch of a `try_lock` that finds its mutex locked, unless the critical section switches threads.
#
# Guess:     a model in which one thread holds a mutex while another calls `try_lock` explores both results.
# Version:   loom 0.7.2
# Behaviour: the result "locked" comes only if the critical section contains a point at which loom switches threads (an
#            atomic, a lock, a channel). A section that only works on its own data is never seen from outside. So a model
#            of the branch for a busy lock passes, however wrong that branch is.
# Seen:      a plain section is found locked in 0 of 4 orders. A mutex with an atomic, which locking raises, the guard
#            lowers and `try_lock` reads first, is found locked in 5 of 16.
#
# Runs both models and fails if that changes. Needs cargo and the registry (or a filled cache).
set -euo pipefail

EXPECTED='plain: 0 of 4 orders found it locked
flagged: 5 of 16 orders found it locked'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"

cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "loom-try-lock"
version = "0.0.0"
edition = "2021"

[dependencies]
loom = "=0.7.2"

[workspace]
TOML

cat > "$work/src/main.rs" <<'RUST'
//! Counts the orders in which a `try_lock` finds its mutex locked by another thread.

use std::sync::atomic::{AtomicUsize as Counter, Ordering::SeqCst};
use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::sync::Mutex;
use loom::thread;

/// A mutex whose holder is visible only by the mutex's own state, or also by a flag that loom tracks.
struct Watched {
    mutex: Mutex<u32>,
    is_held: AtomicBool,
    has_flag: bool,
}

impl Watched {
    fn add(&self) {
        let mut number = self.mutex.lock().unwrap();
        if self.has_flag {
            self.is_held.store(true, Relaxed);
        }
        *number += 1;
        if self.has_flag {
            self.is_held.store(false, Relaxed);
        }
    }

    fn is_busy(&self) -> bool {
        (self.has_flag && self.is_held.load(Relaxed)) || self.mutex.try_lock().is_err()
    }
}

fn count(name: &str, has_flag: bool) {
    let (orders, busy) = (Arc::new(Counter::new(0)), Arc::new(Counter::new(0)));
    let (all, locked) = (orders.clone(), busy.clone());
    loom::model(move || {
        let watched = Watched { mutex: Mutex::new(0), is_held: AtomicBool::new(false), has_flag };
        let watched = loom::sync::Arc::new(watched);
        let holder = {
            let watched = watched.clone();
            thread::spawn(move || watched.add())
        };
        all.fetch_add(1, SeqCst);
        locked.fetch_add(usize::from(watched.is_busy()), SeqCst);
        holder.join().unwrap();
    });
    println!("{name}: {} of {} orders found it locked", busy.load(SeqCst), orders.load(SeqCst));
}

fn main() {
    count("plain", false);
    count("flagged", true);
}
RUST

seen=$(cargo run --quiet --manifest-path "$work/Cargo.toml" --target-dir "$work/target")
echo "$seen"
if [ "$seen" != "$EXPECTED" ]; then
    printf 'this has changed; expected:\n%s\n' "$EXPECTED" >&2
    exit 1
fi
