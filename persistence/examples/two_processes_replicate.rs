//! Replication between two processes: a follower's events go through a pipe to a store that applies
//! them. A socket does as well.
//!
//! `cargo run -p lowtide-persistence --example two_processes_replicate`

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, thread};

use lowtide_checkpoint::{ResumePoint, Seqno, State, Vbid};
use lowtide_persistence::{Applied, Followed, FollowerEvent, Store, StoreError, StoreOptions};

const VB: Vbid = Vbid(0);

/// Runs the active's process, which starts the replica's with the directory as argument.
pub fn main() -> Result<(), Box<dyn Error>> {
    match env::args_os().nth(1) {
        None => active(),
        Some(dir) => replica(Path::new(&dir)),
    }
}

fn active() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let there = dir.path().join("replica");
    let store = Store::open(dir.path().join("active"), StoreOptions::logstor([1, 2]))?;
    write(&store, 1_000)?;
    send(&store, &there, 1_000)?;
    // The replica was stopped. It goes on where it was.
    thread::scope(|scope| {
        scope.spawn(|| write(&store, 2_000).expect("the disk works"));
        send(&store, &there, 3_000)
    })?;

    let copy = Store::open(&there, StoreOptions::couchstore().with_vbuckets(0))?;
    for number in 0..100 {
        let key = format!("key-{number}");
        assert_eq!(copy.get(VB, &key)?, store.get(VB, &key)?);
    }
    println!("both have {} changes", copy.high_seqno(VB)?);
    Ok(())
}

fn write(store: &Store, writes: u64) -> Result<(), StoreError> {
    for number in 0..writes {
        let _ = store.set(VB, &format!("key-{}", number % 100), number.to_string())?;
    }
    Ok(())
}

/// Sends everything up to `last` to a replica's process.
fn send(store: &Store, there: &Path, last: u64) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    command
        .arg(there)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let mut input = process.stdin.take().ok_or("it is piped")?;
    let mut place = [0; 32];
    process
        .stdout
        .as_mut()
        .ok_or("it is piped")?
        .read_exact(&mut place)?;
    let from = ResumePoint::from_bytes(&place).ok_or("no resume point")?;
    for followed in store.follow(VB, "replica", from)? {
        let Followed { vb, event, .. } = followed?;
        event.write_to(vb, &mut input)?;
        if matches!(event, FollowerEvent::SnapshotEnd(point) if point.seqno == Seqno(last)) {
            break;
        }
    }
    drop(input);
    let status = process.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string().into())
    }
}

/// Applies what arrives. The two stores may have different engines.
fn replica(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open(dir, StoreOptions::couchstore().with_vbuckets(0))?;
    match store.create_vbucket(VB, State::Replica) {
        Ok(()) | Err(StoreError::VBucketExists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    io::stdout().write_all(&store.resume_point(VB)?.to_bytes())?;
    io::stdout().flush()?;
    let mut input = io::stdin().lock();
    let limit = FollowerEvent::MESSAGE_BYTES_MAX;
    while let Some((vb, event)) = FollowerEvent::read_from(&mut input, limit)? {
        if let Applied::WentBack(point) = store.apply(vb, &event)? {
            // The active begins again from there, with another process.
            return Err(format!("went back to {}", point.seqno).into());
        }
    }
    Ok(store.close()?)
}
