//! Messages of a stream: applied to the stream's replica, or refused with a status.

use lowtide_checkpoint::Vbid;
use lowtide_checkpoint::internal::Invariant;

use super::connection::Consumer;
use super::error::ConsumerError;
use super::replicas::{ConsumerEvent, Replicas, status_of};
use crate::wire::{Command, KeyForm, MarkerFlags, Opcode, Request, Response, Status};

impl Consumer {
    /// Handles a request of the producer: a message of a stream, or about the connection.
    pub(super) fn handle_request(
        &mut self,
        request: &Request,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let vb = request.vb;
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
        let applied = self
            .require_stream(request)
            .and_then(|()| match &request.command {
                Command::SnapshotMarker(marker) => replicas
                    .apply_marker(vb, marker.to_snapshot())
                    .map_err(|error| status_of(&error)),
                Command::StreamEnd(_) => Ok(()),
                Command::SeqnoAdvanced(seqno) => replicas
                    .advance(vb, *seqno)
                    .map_err(|error| status_of(&error)),
                Command::SetVBucketState(state) => replicas
                    .set_state(vb, *state)
                    .map_err(|error| status_of(&error)),
                _ => match request.to_item(KeyForm::Collections) {
                    Ok(item) => replicas
                        .apply_item(vb, item)
                        .map_err(|error| status_of(&error)),
                    // The connection stays: the frame was sound.
                    Err(error) => Err(error.status().unwrap_or(Status::INVALID)),
                },
            });
        if let Err(status) = applied {
            self.respond(&Response::to(request, status))?;
            return match status {
                // Later messages would leave a gap.
                Status::NOT_MY_VBUCKET | Status::TOO_BIG | Status::UNKNOWN_COLLECTION => {
                    self.close_lost_stream(vb, status).map(Some)
                }
                _ => Ok(Some(ConsumerEvent::Refused { vb, status })),
            };
        }
        self.applied(request)
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
