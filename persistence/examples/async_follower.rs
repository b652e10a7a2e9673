//! Waiting without a thread: a task writes and awaits the disk, another follows.
//!
//! The futures work on any executor. This one is a thread that parks.
//!
//! `cargo run -p lowtide-persistence --example async_follower`

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use lowtide_checkpoint::{ResumePoint, Vbid};
use lowtide_persistence::{FollowerEvent, Store, StoreError, StoreOptions};

const VB: Vbid = Vbid(0);

async fn write(store: &Store) -> Result<(), StoreError> {
    for number in 0..100 {
        let write = store.set(VB, &format!("key-{number}"), number.to_string())?;
        write.persisted().await?;
    }
    Ok(())
}

async fn follow(store: &Store) -> Result<usize, StoreError> {
    let mut follower = store.follow(VB, "task", ResumePoint::START)?;
    let mut items_read = 0;
    while items_read < 100
        && let Some(followed) = follower.next_event().await?
    {
        if let FollowerEvent::Items(items) = followed.event {
            items_read += items.iter().count();
        }
    }
    Ok(items_read)
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), StoreOptions::logstor([1, 2]))?;
    let items_read = thread::scope(|scope| {
        scope.spawn(|| block_on(write(&store)).expect("the disk works"));
        block_on(follow(&store))
    })?;
    println!("{items_read} items");
    assert_eq!(items_read, 100);
    Ok(store.close()?)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
