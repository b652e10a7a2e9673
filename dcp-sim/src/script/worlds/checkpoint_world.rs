//! A world with one vBucket's checkpoint manager. It runs commands and returns their output.
//!
//! # Invariants
//!
//! - Every refusal is the real manager's, and leaves it unchanged.
//! - After every command the manager audits itself; violations are printed instead of the output.

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, CheckpointError, CheckpointManager, Cursor, CursorOptions, Flush, Item, Key,
    Operation, PERSISTENCE, ReadLimit, Role, Seqno,
};

use super::print::{self, Output};
use crate::script::language::{CheckpointCommand, ManagerOptions, Value};

#[derive(Debug)]
pub(in crate::script) struct CheckpointWorld {
    manager: CheckpointManager,
    role: Role,
    /// Flush between `flush-begin` and its end.
    flush: Option<Flush>,
}

impl CheckpointWorld {
    pub(in crate::script) fn new(options: &ManagerOptions) -> Self {
        let ManagerOptions {
            high,
            role,
            max_bytes,
            persistence,
        } = *options;
        let config = CheckpointConfig::in_memory()
            .with_role(role)
            .with_max_bytes(max_bytes)
            .with_persistence(persistence);
        Self {
            manager: CheckpointManager::new(config, high),
            role,
            flush: None,
        }
    }

    pub(in crate::script) fn run(&mut self, command: &CheckpointCommand) -> Output {
        let output = self.output(command);
        let violations = self.manager.check();
        if violations.is_empty() {
            output
        } else {
            Ok(violations)
        }
    }

    fn output(&mut self, command: &CheckpointCommand) -> Output {
        match command {
            CheckpointCommand::Queue {
                operation,
                key,
                value,
                seqno,
                history,
            } => {
                let item = self.item(*operation, key, value.as_ref(), *seqno)?;
                self.queue(Item {
                    history: *history,
                    ..item
                })
            }
            CheckpointCommand::VBucketState(state) => {
                self.queue(Item::new(Operation::SetVBucketState(*state), Key::new(b"")))
            }
            CheckpointCommand::Close => {
                self.manager.close();
                nothing(Ok(()))
            }
            CheckpointCommand::Snapshot(marker) => nothing(self.manager.snapshot(*marker)),
            CheckpointCommand::Register {
                name,
                after,
                droppable,
            } => {
                let options = CursorOptions::new().with_droppable(*droppable);
                let registration = self.manager.register(name, *after, options).map_err(kind)?;
                let backfill = print::yes_or_no(registration.backfill);
                Ok(vec![format!(
                    "next={} backfill={backfill}",
                    registration.next
                )])
            }
            CheckpointCommand::Unregister { name } => {
                nothing(self.manager.unregister(self.cursor(name)?))
            }
            CheckpointCommand::Read { name, limit } if name == PERSISTENCE => {
                self.flush_at_once(*limit)
            }
            CheckpointCommand::Read { name, limit } => {
                let batch = self
                    .manager
                    .read(self.cursor(name)?, *limit)
                    .map_err(kind)?;
                Ok(print::batch(&batch))
            }
            CheckpointCommand::Remaining { name } => {
                let remaining = self.manager.remaining(self.cursor(name)?).map_err(kind)?;
                Ok(vec![remaining.to_string()])
            }
            CheckpointCommand::FlushBegin(limit) => {
                let flush = self.manager.begin_flush(*limit).map_err(kind)?;
                let output = print::batch(flush.batch());
                self.flush = Some(flush);
                Ok(output)
            }
            CheckpointCommand::FlushOk => self.end_flush(Flush::commit),
            CheckpointCommand::FlushFail => self.end_flush(Flush::fail),
            CheckpointCommand::Expel => Ok(vec![format!("expelled={}", self.manager.expel())]),
            CheckpointCommand::Recover { bytes } => {
                let recovered = self.manager.recover_memory(*bytes);
                let satisfied = print::yes_or_no(recovered.is_satisfied);
                Ok(vec![format!(
                    "checkpoints-created={} expelled={} cursors-dropped={} satisfied={satisfied}",
                    recovered.checkpoints_created,
                    recovered.expelled,
                    recovered.cursors_dropped.join(","),
                )])
            }
            CheckpointCommand::Show => Ok(self
                .manager
                .to_string()
                .lines()
                .map(str::to_owned)
                .collect()),
            CheckpointCommand::Stats => Ok(vec![self.stats()]),
            CheckpointCommand::Clear { high } => {
                self.manager.clear(*high);
                Ok(Vec::new())
            }
        }
    }

    fn item(
        &self,
        operation: Operation,
        key: &Key,
        value: Option<&Value>,
        seqno: Option<Seqno>,
    ) -> Result<Item, &'static str> {
        // The manager reads seqno 0 as "none", whereas `seqno=0` in a script is a seqno.
        let seqno = match (self.role, seqno) {
            (Role::Active, None) => None,
            (Role::Replica, Some(Seqno::ZERO)) => return Err("out-of-order"),
            (Role::Replica, Some(seqno)) => Some(seqno),
            (Role::Active, Some(_)) | (Role::Replica, None) => return Err("invalid-argument"),
        };
        let made_for = seqno.unwrap_or_else(|| self.manager.high_seqno().next());
        let value = match value {
            None => (operation == Operation::Mutation).then(Bytes::new),
            Some(value) => Some(value.bytes(key.user(), made_for.0)?),
        };
        Ok(Item {
            seqno: seqno.unwrap_or(Seqno::ZERO),
            value,
            ..Item::new(operation, key.clone())
        })
    }

    fn queue(&self, item: Item) -> Output {
        let queued = self.manager.queue(item).map_err(kind)?;
        Ok(vec![format!("{} {}", queued.seqno, queued.effect.name())])
    }

    fn flush_at_once(&self, limit: ReadLimit) -> Output {
        let flush = self.manager.begin_flush(limit).map_err(kind)?;
        let output = print::batch(flush.batch());
        flush.commit();
        Ok(output)
    }

    fn end_flush(&mut self, end: impl FnOnce(Flush)) -> Output {
        end(self.flush.take().ok_or("no-flush")?);
        Ok(Vec::new())
    }

    fn cursor(&self, name: &str) -> Result<Cursor, &'static str> {
        self.manager
            .cursor(name)
            .ok_or(kind(CheckpointError::UnknownCursor))
    }

    fn stats(&self) -> String {
        let stats = self.manager.stats();
        format!(
            "high={} checkpoints={} open-id={} items={} cursors={} deduplicated={} expelled={}",
            stats.high_seqno,
            stats.checkpoints,
            stats.open_checkpoint_id,
            stats.items,
            stats.cursors,
            stats.deduplicated,
            stats.expelled
        )
    }
}

fn nothing(result: Result<(), CheckpointError>) -> Output {
    result.map(|()| Vec::new()).map_err(kind)
}

fn kind(error: CheckpointError) -> &'static str {
    error.kind()
}
