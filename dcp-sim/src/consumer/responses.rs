//! Responses of the producer: to stream requests, to the open request and to options.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{FailoverLog, Vbid};

use super::connection::{Consumer, PassiveStream};
use super::error::ConsumerError;
use super::replicas::{ConsumerEvent, NotApplied, Replicas};
use crate::wire::{Opcode, Reply, Response};

impl Consumer {
    pub(super) fn handle_response(
        &mut self,
        response: &Response,
        replicas: &mut impl Replicas,
    ) -> Result<Option<ConsumerEvent>, ConsumerError> {
        let opaque = response.opaque;
        let opcode = response.reply.opcode();
        let status = response.reply.status();
        match opcode {
            Opcode::DCP_STREAM_REQ => {}
            Opcode::DCP_OPEN if !status.is_success() => {
                return Err(ConsumerError::Refused { opcode, status });
            }
            Opcode::DCP_CONTROL => {
                self.granted.record(response);
                return Ok(None);
            }
            // No other answer changes anything.
            _ => return Ok(None),
        }
        if self.replaced_requests.remove(&opaque) {
            return Ok(None);
        }
        let asked =
            |(_, stream): &(&Vbid, &PassiveStream)| stream.opaque == opaque && !stream.is_open;
        let (&vb, _) = self
            .streams
            .iter()
            .find(asked)
            .ok_or(ConsumerError::NoSuchRequest { opaque })?;
        match &response.reply {
            Reply::StreamAccepted(entries) => {
                let log = FailoverLog::from_entries(entries.clone())
                    .map_err(|source| ConsumerError::FailoverLog { vb, source })?;
                if let Err(error) = replicas.adopt_failover_log(vb, log) {
                    return match error.into() {
                        // The vBucket to apply the stream to is gone.
                        NotApplied::Refused(status) => self.close_lost_stream(vb, status).map(Some),
                        NotApplied::Failed(error) => Err(error),
                    };
                }
                let stream = self
                    .streams
                    .get_mut(&vb)
                    .invariant("S5", "a stream that was accepted was requested")?;
                stream.is_open = true;
                Ok(Some(ConsumerEvent::StreamOpened(vb)))
            }
            Reply::Rollback(seqno) => {
                self.streams.remove(&vb);
                Ok(Some(ConsumerEvent::Rollback { vb, seqno: *seqno }))
            }
            _ => {
                self.streams.remove(&vb);
                Ok(Some(ConsumerEvent::StreamRefused { vb, status }))
            }
        }
    }
}
