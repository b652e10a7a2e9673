//! Two nodes and the wires between them, driven by hand: node 0 has the actives, node 1 follows all
//! of them.
//!
//! The test decides in which pieces bytes arrive and what happens in between. There is no flush:
//! everything stays in memory, so that a stream can be resumed anywhere.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use dcp_sim::node::{Action, Event, Node, NodeConfig, NodeError, Observation};
use dcp_sim::sim::Contents;
use lowtide_checkpoint::{FailoverLog, Key, State, VBucketState, VbUuid, Vbid};

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    bytes: VecDeque<u8>,
    /// Number of bytes that have arrived.
    pub(crate) arrived: usize,
}

impl Wire {
    fn send(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    fn take(&mut self, count: usize) -> Bytes {
        let piece: Vec<_> = self.bytes.drain(..count.min(self.bytes.len())).collect();
        self.arrived += piece.len();
        Bytes::from(piece)
    }
}

pub(crate) struct Pair {
    pub(crate) active: Node,
    pub(crate) replica: Node,
    to_replica: Wire,
    to_active: Wire,
    /// Requests of the nodes other than to send and to flush, which this pair does not serve.
    odd: Vec<String>,
    /// `true` if the active's sender asked to be called.
    is_sender_due: bool,
    vbuckets: u16,
    /// Documents of the active, and of the replica.
    written: BTreeMap<Vbid, Contents>,
    received: BTreeMap<Vbid, Contents>,
}

impl Pair {
    pub(crate) fn new(vbuckets: u16, config: &NodeConfig) -> Self {
        let node = || Node::new(config.clone()).expect("a valid configuration");
        let [mut active, mut replica] = [node(), node()];
        for vb in 0..vbuckets {
            let log = FailoverLog::new(VbUuid(u64::from(vb) + 1));
            for (node, state) in [(&mut active, State::Active), (&mut replica, State::Replica)] {
                let state = VBucketState::new(state, log.clone());
                node.add_vbucket(Vbid(vb), &state);
            }
        }
        replica.observe();
        let (to_replica, to_active) = (Wire::default(), Wire::default());
        Self {
            active,
            replica,
            to_replica,
            to_active,
            odd: Vec::new(),
            is_sender_due: false,
            vbuckets,
            written: BTreeMap::new(),
            received: BTreeMap::new(),
        }
    }

    fn vbs(&self) -> Vec<Vbid> {
        (0..self.vbuckets).map(Vbid).collect()
    }

    /// Opens a new connection; the bytes on the way on the old one are lost.
    pub(crate) fn connect(&mut self) {
        self.to_replica.bytes.clear();
        self.to_active.bytes.clear();
        self.is_sender_due = false;
        self.active.accept(1);
        let actions = self.replica.follow(0, &self.vbs()).expect("it has them");
        self.carry_out(actions);
    }

    /// Lets the replica request the vBucket itself.
    pub(crate) fn take_over(&mut self, vb: u16) {
        let actions = self.replica.take_over(0, Vbid(vb)).expect("it follows");
        self.carry_out(actions);
    }

    pub(crate) fn write(&mut self, vb: u16, key: &[u8], value: Option<Bytes>) {
        let event = Event::Write {
            vb: Vbid(vb),
            key: Key::new(key),
            value,
        };
        let actions = self.active.step(event, 1_000).expect("active");
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::ToProducer(0, bytes) => self.to_active.send(&bytes),
                Action::ToConsumer(1, bytes) => self.to_replica.send(&bytes),
                Action::WakeSender(1) => self.is_sender_due = true,
                Action::Fetch(write) => {
                    // The store is empty, since nothing is flushed.
                    let stored = Ok(None);
                    let event = Event::Fetched { write, stored };
                    let actions = self.active.step(event, 1_000).expect("active");
                    self.carry_out(actions);
                }
                Action::Written { vb, item } => self.written.entry(vb).or_default().apply(&item),
                Action::WakeFlusher { .. } | Action::StateSet { .. } => {}
                other => self.odd.push(format!("{other:?}")),
            }
        }
    }

    /// Runs one event, if there is one: `choose(n)` picks one of `n` events, and the number of
    /// bytes that arrive.
    pub(crate) fn step(
        &mut self,
        choose: &mut dyn FnMut(usize) -> usize,
    ) -> Result<bool, NodeError> {
        let possible = [
            !self.to_replica.bytes.is_empty(),
            !self.to_active.bytes.is_empty(),
            self.is_sender_due,
        ];
        let possible: Vec<_> = (0..3).filter(|&index| possible[index]).collect();
        if possible.is_empty() {
            return Ok(false);
        }
        let actions = match possible[choose(possible.len())] {
            0 => {
                let count = 1 + choose(self.to_replica.bytes.len());
                let bytes = self.to_replica.take(count);
                self.replica
                    .step(Event::FromProducer { peer: 0, bytes }, 2_000)?
            }
            1 => {
                let count = 1 + choose(self.to_active.bytes.len());
                let bytes = self.to_active.take(count);
                self.active
                    .step(Event::FromConsumer { peer: 1, bytes }, 2_000)?
            }
            _ => {
                self.is_sender_due = false;
                self.active.step(Event::SendDue { peer: 1 }, 2_000)?
            }
        };
        self.carry_out(actions);
        for observation in self.replica.take_observations() {
            if let Observation::Item { vb, item } = observation {
                self.received.entry(vb).or_default().apply(&item);
            }
        }
        Ok(true)
    }

    /// Runs events until nothing is left to do.
    pub(crate) fn settle(
        &mut self,
        choose: &mut dyn FnMut(usize) -> usize,
    ) -> Result<(), NodeError> {
        while self.step(choose)? {}
        Ok(())
    }

    /// Returns the number of bytes that the replica has received on all connections.
    pub(crate) fn arrived(&self) -> usize {
        self.to_replica.arrived
    }

    /// Changes the bytes on their way to the replica.
    pub(crate) fn tamper(&mut self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let bytes = std::mem::take(&mut self.to_replica.bytes);
        self.to_replica.bytes = change(bytes.into()).into();
    }

    /// Changes the bytes on their way to the active.
    pub(crate) fn tamper_back(&mut self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let bytes = std::mem::take(&mut self.to_active.bytes);
        self.to_active.bytes = change(bytes.into()).into();
    }

    /// Returns the difference between the two nodes, or an unexpected request; `None` if all is
    /// well.
    pub(crate) fn difference(&self) -> Option<String> {
        if let Some(odd) = self.odd.first() {
            return Some(odd.clone());
        }
        self.vbs().into_iter().find_map(|vb| {
            let [active, replica] =
                [&self.active, &self.replica].map(|node| node.partition(vb).expect("there"));
            let none = Contents::default();
            let [written, received] =
                [&self.written, &self.received].map(|all| all.get(&vb).unwrap_or(&none));
            if let Some(key) = written.first_difference(received) {
                let (active, replica) = (written.get(key), received.get(key));
                return Some(format!(
                    "vBucket {vb}, {key}: active {active:?}, replica {replica:?}"
                ));
            }
            let (high, point) = (active.vbucket.high_seqno(), replica.vbucket.resume_point());
            let is_whole = point.seqno == high && point.snapshot_end == high;
            (!is_whole).then(|| format!("vBucket {vb}: active at {high}, replica at {point:?}"))
        })
    }
}

/// Writes to all vBuckets: replaces, deletes and restores keys. `round` varies values and sizes.
pub(crate) fn write_some(pair: &mut Pair, round: usize) {
    for index in 0..12_usize {
        let vb = (index % usize::from(pair.vbuckets)) as u16;
        let key = format!("key {}", (index * 7 + round * 3) % 5);
        let value = (!(index + round).is_multiple_of(4))
            .then(|| Bytes::from(vec![b'v'; index * 17 + round]));
        pair.write(vb, key.as_bytes(), value);
    }
}
