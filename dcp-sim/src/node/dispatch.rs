//! One event in, actions out.

use super::error::NodeError;
use super::event::{Action, Event};
use super::state::Node;

impl Node {
    /// Takes one event at `now` (nanoseconds since the epoch).
    ///
    /// # Errors
    /// When a client is refused, a peer breaks the protocol, or the host names what is not here. Of what failed nothing
    /// has changed, but a connection whose peer broke the protocol is of no use any more.
    pub fn step(&mut self, event: Event, now: u64) -> Result<Vec<Action>, NodeError> {
        let mut actions = Vec::new();
        match event {
            Event::Write { vb, key, value } => self.write(vb, key, value, now, &mut actions)?,
            Event::FromConsumer { peer, bytes } => {
                self.receive_from_consumer(peer, &bytes, &mut actions)?
            }
            Event::FromProducer { peer, bytes } => {
                self.receive_from_producer(peer, bytes, &mut actions)?
            }
            Event::ConsumerGone { peer } => self.consumer_gone(peer),
            Event::ProducerGone { peer } => self.producer_gone(peer),
            Event::FlushDue => self.flush(&mut actions)?,
            Event::FlushDone(group) => self.flushed(group, &mut actions)?,
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
