#!/usr/bin/env bash
# A bounded crossbeam channel keeps the messages in its queue until the last sender is dropped, not the last receiver.
#
# Guess:     when the last receiver of a channel is dropped, the queued messages are dropped with it.
# Version:   crossbeam-channel 0.5.17
# Behaviour: true of std's channels and of unbounded crossbeam channels. A bounded crossbeam channel keeps its queue until
#            the last sender is dropped as well. Everything that a message holds (a permit, the sender of a reply channel)
#            lives as long as any sender does. A thread that waits for the reply waits for ever.
# Seen:      messages dropped after the receiver / after the sender, of 2
#            std 2/2, std bounded 2/2, crossbeam unbounded 2/2, crossbeam bounded 0/2
#
# Fails if that changes. Needs cargo and the registry (or a filled cache).
set -euo pipefail

EXPECTED='std: 2/2
std bounded: 2/2
crossbeam unbounded: 2/2
crossbeam bounded: 0/2'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"

cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "crossbeam-bounded-channel-keeps-messages"
version = "0.0.0"
edition = "2021"

[dependencies]
crossbeam-channel = "=0.5.17"

[workspace]
TOML

cat > "$work/src/main.rs" <<'RUST'
//! Counts the messages that are dropped when a channel's receiver goes, and when its sender goes after that.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;

/// A message that counts its drop.
struct Message(Arc<AtomicUsize>);

impl Drop for Message {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn count<S, R>(name: &str, (sender, receiver): (S, R), send: impl Fn(&S, Message)) {
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        send(&sender, Message(dropped.clone()));
    }
    drop(receiver);
    let after_receiver = dropped.load(SeqCst);
    drop(sender);
    println!("{name}: {after_receiver}/{}", dropped.load(SeqCst));
}

fn main() {
    use std::sync::mpsc;
    count("std", mpsc::channel(), |sender, message| sender.send(message).ok().unwrap());
    count("std bounded", mpsc::sync_channel(4), |sender, message| sender.send(message).ok().unwrap());
    count("crossbeam unbounded", crossbeam_channel::unbounded(), |sender, message| sender.send(message).ok().unwrap());
    count("crossbeam bounded", crossbeam_channel::bounded(4), |sender, message| sender.send(message).ok().unwrap());
}
RUST

seen=$(cargo run --quiet --manifest-path "$work/Cargo.toml" --target-dir "$work/target")
echo "$seen"
if [ "$seen" != "$EXPECTED" ]; then
    printf 'this has changed; expected:\n%s\n' "$EXPECTED" >&2
    exit 1
fi
