//! Messages of a stream: applied to the stream's replica, or refused with a status.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Invariant;

use super::connection::Consumer;
use super::error::ConsumerError;
use super::replicas::{ConsumerEvent, NotApplied, Replicas};
use crate::wire::{Command, KeyForm, MarkerFlags, Opcode, Request, Response, Status};

impl Consumer {
    /// Handles a request of the producer: a message of a stream, or about the connection.
    pub(super) fn handle_request(
        &mut self,
        request: &Request,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        match &request.command {
            Command::Noop => {
                self.respond(&Response::to(request, Status::SUCCESS))?;
                return Ok(None);
            }
            command if !command.opcode().is_stream_message() => {
                return Err(ConsumerError::Unexpected {
                    opcode: command.opcode(),
                });
            }
            _ => {}
        }
        match self.apply(request, replicas) {
            Ok(()) => self.applied(request),
            Err(NotApplied::Failed(error)) => Err(error),
            Err(NotApplied::Refused(status)) => self.refuse(request, status).map(Some),
        }
    }

    /// Applies a message of a stream to its replica.
    fn apply(&self, request: &Request, replicas: &mut impl Replicas) -> Result<(), NotApplied> {
        let vb = request.vb;
        self.require_stream(request)?;
        match &request.command {
            Command::SnapshotMarker(marker) => replicas.apply_marker(vb, marker.to_snapshot())?,
            Command::StreamEnd(_) => {}
            Command::SeqnoAdvanced(seqno) => replicas.advance(vb, *seqno)?,
            Command::SetVBucketState(state) => replicas.set_state(vb, *state)?,
            _ => {
                let item = request
                    .to_item(KeyForm::Collections)
                    // The connection stays: the frame was sound.
                    .map_err(|error| error.status().unwrap_or(Status::INVALID))?;
                replicas.apply_item(vb, item)?;
            }
        }
        Ok(())
    }

    /// Answers a message that was not applied.
    fn refuse(
        &mut self,
        request: &Request,
        status: Status,
    ) -> Result<ConsumerEvent, ConsumerError> {
        let vb = request.vb;
        self.respond(&Response::to(request, status))?;
        match status {
            // Later messages would leave a gap.
            Status::NOT_MY_VBUCKET | Status::TOO_BIG | Status::UNKNOWN_COLLECTION => {
                self.close_lost_stream(vb, status)
            }
            _ => Ok(ConsumerEvent::Refused { vb, status }),
        }
    }

    /// Closes the stream: the vBucket cannot take or store its messages. They are lost, so
    /// continuing the stream later would leave a gap.
    pub(super) fn close_lost_stream(
        &mut self,
        vb: Vbid,
        status: Status,
    ) -> Result<ConsumerEvent, ConsumerError> {
        self.streams.remove(&vb);
        self.ask(vb, Command::CloseStream)?;
        Ok(ConsumerEvent::StreamRefused { vb, status })
    }

    /// Completes a message that was applied: answers, events and the end of the stream.
    fn applied(&mut self, request: &Request) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let vb = request.vb;
        let stream = self
            .streams
            .get_mut(&vb)
            .invariant("S5", "a message is applied to its stream only")?;
        match &request.command {
            Command::SnapshotMarker(marker) => {
                let is_answered = marker.flags.contains(MarkerFlags::ACK);
                stream.unanswered = is_answered.then_some(marker.end);
                Ok(None)
            }
            Command::StreamEnd(reason) => {
                self.streams.remove(&vb);
                Ok(Some(ConsumerEvent::StreamEnded {
                    vb,
                    reason: *reason,
                }))
            }
            Command::SetVBucketState(state) => {
                self.respond(&Response::to(request, Status::SUCCESS))?;
                Ok(Some(ConsumerEvent::StateSet { vb, state: *state }))
            }
            command => {
                if let Some(seqno) = command.seqno()
                    && stream.unanswered.take_if(|end| *end <= seqno).is_some()
                {
                    let marker = Opcode::DCP_SNAPSHOT_MARKER;
                    self.respond(&Response::status(marker, request.opaque, Status::SUCCESS))?;
                }
                Ok(None)
            }
        }
    }

    /// Checks that the message belongs to an open stream. Returns the status to answer otherwise.
    fn require_stream(&self, request: &Request) -> Result<(), Status> {
        let no_stream = if self.granted.v7_statuses {
            Status::STREAM_NOT_FOUND
        } else {
            Status::NOT_FOUND
        };
        let another = if self.granted.v7_statuses {
            Status::OPAQUE_MISMATCH
        } else {
            Status::EXISTS
        };
        match self
            .streams
            .get(&request.vb)
            .filter(|stream| stream.is_open)
        {
            None => Err(no_stream),
            Some(stream) if stream.opaque != request.opaque => Err(another),
            Some(_) => Ok(()),
        }
    }
}
