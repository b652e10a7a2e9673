//! Flushes of a node's shards: begun when they are due, retried after a failure (N2).

use lowtide_checkpoint::internal::invariant;
use lowtide_checkpoint::{Seqno, Vbid};
use lowtide_persistence::{CommittedGroup, FlushNext, FlushShard, Flushed, Persisted, whole_seqno};

use crate::node::error::NodeError;
use crate::node::event::{Action, Event};
use crate::node::state::Node;

impl Node {
    pub(in crate::node) fn flush(
        &mut self,
        shard: usize,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let partitions = &self.partitions;
        let vbucket = |vb| partitions.get(vb).map(|partition| &partition.vbucket);
        let begun = require(self.shards.get_mut(shard))?.begin(vbucket)?;
        if let Some(group) = begun {
            self.calls.flush_began(group.vbuckets());
            actions.push(Action::Commit { shard, group });
        }
        Ok(())
    }

    pub(in crate::node) fn flushed(
        &mut self,
        shard: usize,
        group: CommittedGroup,
        actions: &mut Vec<Action>,
    ) -> Result<(), NodeError> {
        let flushes = require(self.shards.get_mut(shard))?;
        invariant!(
            flushes.is_in_flight(),
            "N1",
            "a flush that was answered was in progress"
        );
        let vbs: Vec<_> = group.vbuckets().collect();
        let outcome = flushes.finish(group)?;
        self.calls.flush_ended(vbs);
        let mut failure = None;
        let mut prepared = Vec::new();
        for Flushed { vb, result, .. } in outcome.flushed {
            match result {
                Ok(persisted) => {
                    prepared.push((vb, persisted.prepared));
                    self.persisted(vb, &persisted, actions);
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            actions.push(Action::EngineFailed {
                what: "flush",
                error,
            });
        }
        match outcome.next {
            FlushNext::Due => actions.push(Action::WakeFlusher { shard }),
            FlushNext::After { pause_micros } => {
                let event = Box::new(Event::FlushDue { shard });
                actions.push(Action::Later {
                    pause_micros,
                    event,
                });
            }
            FlushNext::Reopen => {
                self.calls.reopen();
                self.await_reopening();
            }
            _ => {}
        }
        // A call may have waited for this flush.
        self.begin_calls(actions);
        prepared
            .into_iter()
            .try_for_each(|(vb, seqno)| self.prepared(vb, seqno, actions))
    }

    fn persisted(&mut self, vb: Vbid, persisted: &Persisted, actions: &mut Vec<Action>) {
        let state = self.shards.of(vb).persisted_state(vb);
        let whole = state.map_or(persisted.seqno, |state| whole_seqno(state, persisted.seqno));
        // A replica's store learns of its active's purges from its stream.
        let purged = state.map_or(Seqno::ZERO, |state| state.purge_seqno);
        self.purged(vb, purged);
        actions.push(Action::Persisted {
            vb,
            seqno: persisted.seqno,
            whole,
            items: persisted.items,
        });
        if let Some(partition) = self.partitions.get_mut(vb) {
            partition.documents.persisted(persisted.seqno);
            partition.vbucket.manager().expel();
        }
    }
}

fn require(shard: Option<&mut FlushShard>) -> Result<&mut FlushShard, NodeError> {
    shard.ok_or(NodeError::NotHere {
        what: "flush shard",
    })
}
