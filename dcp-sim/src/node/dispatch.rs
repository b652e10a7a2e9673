//! [`Node::step`]: calls the step that belongs to an event.

use super::error::NodeError;
use super::event::{Action, Event};
use super::state::Node;

impl Node {
    /// Handles one event at `now`, in nanoseconds since the epoch. Returns the actions to execute.
    ///
    /// # Errors
    /// When a client's write is refused, a peer violates the protocol, or the event names a missing
    /// object. A failed event changes nothing, except for [`NodeError::Internal`]. After a protocol
    /// violation the connection must be closed.
    pub fn step(&mut self, event: Event, now: u64) -> Result<Vec<Action>, NodeError> {
        let mut actions = Vec::new();
        match event {
            Event::Write { vb, key, value } => self.write(vb, key, value, now, &mut actions)?,
            Event::Fetched { write, stored } => self.fetched(write, stored, now, &mut actions)?,
            Event::FromConsumer { peer, bytes } => {
                self.receive_from_consumer(peer, &bytes, &mut actions)?
            }
            Event::FromProducer { peer, bytes } => {
                self.receive_from_producer(peer, bytes, &mut actions)?
            }
            Event::ConsumerGone { peer } => self.consumer_gone(peer),
            Event::ProducerGone { peer } => self.producer_gone(peer),
            Event::FlushDue { shard } => self.flush(shard, &mut actions)?,
            Event::FlushDone { shard, group } => self.flushed(shard, group, &mut actions)?,
            Event::EngineDone(done) => self.engine_done(done, &mut actions)?,
            Event::Retry(call) => self.retry(call, &mut actions),
            Event::SendDue { peer } => self.send(peer, &mut actions)?,
            Event::Backfilled {
                peer,
                connection,
                outcome,
            } => {
                self.backfilled((peer, connection), outcome, &mut actions)?;
            }
            Event::Tick => self.tick(now, &mut actions)?,
            Event::Purged { vb, seqno } => self.purged(vb, seqno),
            Event::Create { vb, uuid } => self.create(vb, uuid, &mut actions)?,
            Event::Drop { vb } => self.drop_vbucket(vb, &mut actions)?,
            Event::SetState { vb, state, uuid } => self.set_state(vb, state, uuid, &mut actions)?,
        }
        Ok(actions)
    }
}
