//! A thread or a task that waits for many subscriptions is woken by each of them.
//!
//! A reader of two managers finds nothing in either and goes to sleep, while another thread queues an
//! item in each. A wake-up is lost if finding nothing and arming are two critical sections of a
//! manager, or if looking for numbers and leaving the waker are two of the set. Then loom reports the
//! reader as deadlocked.
#![cfg(checkpoint_loom)]

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use loom::thread;
use lowtide_checkpoint::fault::Fault;
use lowtide_checkpoint::{
    CheckpointManager, ReadLimit, Seqno, Stopper, Subscription, SubscriptionEvent, WaitSet,
};
use lowtide_loom_tests::{active, assert_caught, assert_sound, every_order, held, set};

/// Subscribes to each manager, under its place in the list.
fn follow(managers: &[CheckpointManager], ready: &WaitSet) -> Vec<Subscription> {
    let mut subscriptions = Vec::new();
    for (number, manager) in (0..).zip(managers) {
        let subscription = manager
            .subscribe("reader", Seqno::ZERO)
            .expect("0 is below every seqno");
        subscription.join(ready, number);
        subscriptions.push(subscription);
    }
    subscriptions
}

/// Polls the subscriptions that are ready. Returns what was read.
fn poll(subscriptions: &mut [Subscription], ready: &[u64]) -> Vec<String> {
    let mut read = Vec::new();
    for &number in ready {
        let subscription = &mut subscriptions[usize::try_from(number).expect("small")];
        loop {
            match subscription.poll_or_arm(ReadLimit::NONE) {
                Ok(SubscriptionEvent::Batch(batch)) => read.push(held(&batch)),
                Ok(SubscriptionEvent::Idle) => break,
                Ok(SubscriptionEvent::Stopped) => {
                    read.push("stopped".to_owned());
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    read
}

/// A task's thread.
struct Sleeper {
    is_woken: loom::sync::Mutex<bool>,
    changed: loom::sync::Condvar,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().expect("unpoisoned") = true;
        self.changed.notify_all();
    }
}

impl Sleeper {
    fn sleep(&self) {
        let mut is_woken = self.is_woken.lock().expect("unpoisoned");
        while !*is_woken {
            is_woken = self.changed.wait(is_woken).expect("unpoisoned");
        }
        *is_woken = false;
    }
}

fn queue_one_each(managers: &[CheckpointManager]) -> thread::JoinHandle<()> {
    let managers = managers.to_vec();
    thread::spawn(move || {
        for (manager, key) in managers.iter().zip(["a", "b"]) {
            set(manager, key);
        }
    })
}

#[test]
fn item_of_any_manager_wakes_the_thread() {
    every_order(|| {
        let managers = [active(false), active(false)];
        let ready = WaitSet::new();
        let mut subscriptions = follow(&managers, &ready);
        let writer = queue_one_each(&managers);
        let mut read = Vec::new();
        while read.len() < managers.len() {
            let numbers = ready.wait();
            read.extend(poll(&mut subscriptions, &numbers));
        }
        read.sort();
        assert_eq!(read, ["a1", "b1"]);
        writer.join().expect("it ends");
        managers.iter().for_each(assert_sound);
    });
}

#[test]
fn item_wakes_the_task() {
    every_order(|| {
        let managers = [active(false)];
        let ready = WaitSet::new();
        let mut subscriptions = follow(&managers, &ready);
        let writer = queue_one_each(&managers);
        let sleeper = Arc::new(Sleeper {
            is_woken: loom::sync::Mutex::new(false),
            changed: loom::sync::Condvar::new(),
        });
        let waker = Waker::from(Arc::clone(&sleeper));
        let mut read = Vec::new();
        while read.is_empty() {
            match ready.poll_ready(&waker) {
                Poll::Ready(numbers) => read.extend(poll(&mut subscriptions, &numbers)),
                Poll::Pending => sleeper.sleep(),
            }
        }
        assert_eq!(read, ["a1"]);
        writer.join().expect("it ends");
    });
}

#[test]
fn stop_wakes_the_thread() {
    every_order(|| {
        let managers = [active(false)];
        let ready = WaitSet::new();
        let mut subscriptions = follow(&managers, &ready);
        let stopper = subscriptions[0].stopper();
        let stopping = thread::spawn(move || Stopper::stop(&stopper));
        let mut read = Vec::new();
        while read.is_empty() {
            let numbers = ready.wait();
            read.extend(poll(&mut subscriptions, &numbers));
        }
        assert_eq!(read, ["stopped"]);
        stopping.join().expect("it ends");
    });
}

#[test]
fn broken_variant_is_caught() {
    assert_caught(
        "item_of_any_manager_wakes_the_thread",
        &[Fault::ArmInTwoSteps],
    );
    assert_caught("item_wakes_the_task", &[Fault::WakerInTwoSteps]);
}
