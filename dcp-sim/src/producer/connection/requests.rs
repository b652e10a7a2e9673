//! Requests and answers of a consumer.
//!
//! # Invariants
//!
//! - A request gets one reply, in order, except acknowledged bytes, which get none.
//! - A consumer that refuses a stream's message closes the connection, unless the refusal crossed
//!   with the stream's end.

use super::producer::Producer;
use crate::producer::error::ProducerError;
use crate::producer::event::ProducerEvent;
use crate::producer::partitions::Partitions;
use crate::producer::session::Options;
use crate::producer::stream::ActiveStream;
use crate::producer::stream_key::StreamKey;
use crate::wire::{Command, Opcode, Reply, Request, Response, Status, StreamEndReason};

impl Producer {
    pub(in crate::producer) fn handle_request(
        &mut self,
        request: &Request,
        partitions: &impl Partitions,
    ) -> Result<(), ProducerError> {
        match &request.command {
            Command::Open(open) => {
                let options = Options::opened(open.flags).filter(|_| !self.is_open);
                let status = if options.is_some() {
                    Status::SUCCESS
                } else {
                    Status::INVALID
                };
                if let Some(mut options) = options {
                    options.collections = self.options.collections;
                    self.options = options;
                    self.is_open = true;
                    self.client_name = open.name.clone();
                }
                self.respond(&Response::to(request, status))
            }
            command if !self.is_open => Err(ProducerError::Unexpected {
                opcode: command.opcode(),
            }),
            Command::Control(control) => {
                let status = self.options.set(control, &mut self.flow);
                self.respond(&Response::to(request, status))
            }
            Command::StreamRequest(wanted) => self.open_stream(request, wanted, partitions),
            Command::CloseStream => self.close_stream(request, partitions),
            Command::GetFailoverLog => match partitions.vbucket(request.vb) {
                Some(vbucket) => {
                    let entries = vbucket.failover_log().entries().to_vec();
                    let reply = Reply::FailoverLog {
                        opcode: request.command.opcode(),
                        entries,
                    };
                    self.respond(&Response {
                        opaque: request.opaque,
                        reply,
                    })
                }
                None => self.respond(&Response::to(request, Status::NOT_MY_VBUCKET)),
            },
            Command::BufferAck(bytes) => {
                self.flow.acknowledged(*bytes);
                Ok(())
            }
            Command::SeqnoAck(seqno) => {
                let status = if partitions.vbucket(request.vb).is_some() {
                    self.events.push(ProducerEvent::Prepared {
                        vb: request.vb,
                        seqno: *seqno,
                    });
                    Status::SUCCESS
                } else {
                    Status::NOT_MY_VBUCKET
                };
                self.respond(&Response::to(request, status))
            }
            command => Err(ProducerError::Unexpected {
                opcode: command.opcode(),
            }),
        }
    }

    /// Handles an answer to a message of a stream.
    pub(in crate::producer) fn handle_response(
        &mut self,
        response: &Response,
    ) -> Result<(), ProducerError> {
        let opcode = response.reply.opcode();
        let status = response.reply.status();
        if !status.is_success() {
            return if is_forgiven(opcode, status) {
                Ok(())
            } else {
                Err(ProducerError::Refused { opcode, status })
            };
        }
        let asked =
            |(_, stream): &(&StreamKey, &mut ActiveStream)| stream.opaque() == response.opaque;
        // The answer crossed with the end of its stream.
        let Some((&key, stream)) = self.streams.iter_mut().find(asked) else {
            return Ok(());
        };
        match opcode {
            Opcode::DCP_SNAPSHOT_MARKER => stream.marker_answered(),
            Opcode::DCP_SET_VBUCKET_STATE => {
                if stream.state_answered() {
                    self.events.push(ProducerEvent::TakenOver { vb: key.vb });
                }
            }
            // No other message of a stream needs its answer.
            _ => return Ok(()),
        }
        self.ready.push(key);
        Ok(())
    }

    fn close_stream(
        &mut self,
        request: &Request,
        partitions: &impl Partitions,
    ) -> Result<(), ProducerError> {
        let key = StreamKey {
            vb: request.vb,
            id: request.stream_id,
        };
        if key.id.is_some() != self.options.stream_ids {
            return self.respond(&Response::to(request, Status::STREAM_ID_INVALID));
        }
        let Some(stream) = self.remove_stream(key, partitions) else {
            let status = if self.options.v7_statuses {
                Status::STREAM_NOT_FOUND
            } else {
                Status::NOT_FOUND
            };
            return self.respond(&Response::to(request, status));
        };
        if self.options.end_on_close {
            let end = stream.end_message(StreamEndReason::Closed);
            self.stream_end_queue.push_back(end);
        }
        self.respond(&Response::to(request, Status::SUCCESS))
    }
}

/// Returns `true` if a consumer may answer so to a message that crossed with the end of its stream.
/// A takeover cannot continue after a refusal.
fn is_forgiven(opcode: Opcode, status: Status) -> bool {
    match status {
        _ if opcode == Opcode::DCP_SET_VBUCKET_STATE => false,
        Status::NOT_FOUND => !matches!(opcode, Opcode::DCP_COMMIT | Opcode::DCP_ABORT),
        Status::EXISTS
        | Status::NOT_MY_VBUCKET
        | Status::STREAM_NOT_FOUND
        | Status::OPAQUE_MISMATCH => true,
        _ => false,
    }
}
