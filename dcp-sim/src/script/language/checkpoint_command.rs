//! Commands of a checkpoint manager's world, parsed from a line's words.

use lowtide_checkpoint::{
    Key, Operation, ReadLimit, Role, Seqno, SnapshotMarker, SnapshotType, State,
};

use super::arguments::{Arguments, one_of};
use super::value::Value;

/// Options of `manager`.
#[derive(Clone, Debug)]
pub(in crate::script) struct ManagerOptions {
    pub(in crate::script) high: Seqno,
    pub(in crate::script) role: Role,
    pub(in crate::script) max_bytes: Option<usize>,
    pub(in crate::script) persistence: bool,
}

#[derive(Clone, Debug)]
pub(in crate::script) enum CheckpointCommand {
    Queue {
        operation: Operation,
        key: Key,
        value: Option<Value>,
        seqno: Option<Seqno>,
        history: bool,
    },
    VBucketState(State),
    Close,
    Snapshot(SnapshotMarker),
    Register {
        name: String,
        after: Seqno,
        droppable: bool,
    },
    Unregister {
        name: String,
    },
    Read {
        name: String,
        limit: ReadLimit,
    },
    Remaining {
        name: String,
    },
    FlushBegin(ReadLimit),
    FlushOk,
    FlushFail,
    Expel,
    Recover {
        bytes: usize,
    },
    Show,
    Stats,
    Clear {
        high: Seqno,
    },
}

const STATES: [State; 4] = [State::Active, State::Replica, State::Pending, State::Dead];
const SNAPSHOT_TYPES: [SnapshotType; 3] = [
    SnapshotType::Memory,
    SnapshotType::Disk,
    SnapshotType::InitialDisk,
];

impl ManagerOptions {
    pub(in crate::script) fn take(arguments: &mut Arguments<'_>) -> Result<Self, String> {
        let roles = [("active", Role::Active), ("replica", Role::Replica)];
        Ok(Self {
            high: Seqno(arguments.number("high")?.unwrap_or(0)),
            role: arguments.choice("state", &roles)?.unwrap_or_default(),
            max_bytes: arguments.number("max-bytes")?,
            persistence: arguments.flag("persistence"),
        })
    }
}

impl CheckpointCommand {
    /// Parses the command `name`; `None` for an unknown one.
    pub(in crate::script) fn take(
        name: &str,
        arguments: &mut Arguments<'_>,
    ) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            "set" => queue(Operation::Mutation, arguments)?,
            "delete" => queue(Operation::Deletion, arguments)?,
            "expire" => queue(Operation::Expiration, arguments)?,
            "prepare" => queue(Operation::Prepare, arguments)?,
            "commit" => queue(Operation::Commit, arguments)?,
            "abort" => queue(Operation::Abort, arguments)?,
            "system-event" => queue(Operation::SystemEvent, arguments)?,
            "vbucket-state" => {
                let states = STATES.map(|state| (state.name(), state));
                Self::VBucketState(one_of("STATE", arguments.required("STATE")?, &states)?)
            }
            "close" => Self::Close,
            "snapshot" => Self::Snapshot(marker(arguments)?),
            "register" => Self::Register {
                name: cursor(arguments)?,
                after: Seqno(arguments.needed("after")?),
                droppable: !arguments.flag("undroppable"),
            },
            "unregister" => Self::Unregister {
                name: cursor(arguments)?,
            },
            "read" => Self::Read {
                name: cursor(arguments)?,
                limit: limit(arguments)?,
            },
            "remaining" => Self::Remaining {
                name: cursor(arguments)?,
            },
            "flush-begin" => Self::FlushBegin(limit(arguments)?),
            "flush-ok" => Self::FlushOk,
            "flush-fail" => Self::FlushFail,
            "expel" => Self::Expel,
            "recover" => Self::Recover {
                bytes: arguments.needed("bytes")?,
            },
            "show" => Self::Show,
            "stats" => Self::Stats,
            "clear" => Self::Clear {
                high: Seqno(arguments.needed("high")?),
            },
            _ => return Ok(None),
        }))
    }
}

fn queue(operation: Operation, arguments: &mut Arguments<'_>) -> Result<CheckpointCommand, String> {
    let key = Key::new(arguments.required("KEY")?.as_bytes());
    let history = arguments.flag("history");
    let seqno = arguments.number("seqno")?.map(Seqno);
    Ok(CheckpointCommand::Queue {
        operation,
        key,
        value: Value::take(arguments)?,
        seqno,
        history,
    })
}

fn marker(arguments: &mut Arguments<'_>) -> Result<SnapshotMarker, String> {
    let types = SNAPSHOT_TYPES.map(|snapshot_type| (snapshot_type.name(), snapshot_type));
    let snapshot_type = one_of("TYPE", arguments.required("TYPE")?, &types)?;
    let start = Seqno(arguments.required_number("START")?);
    let end = Seqno(arguments.required_number("END")?);
    Ok(SnapshotMarker {
        visible: arguments.number("visible")?.map(Seqno),
        high_completed_seqno: arguments.number("hcs")?.map(Seqno),
        extend: arguments.flag("extend"),
        history: arguments.flag("history"),
        ..SnapshotMarker::new(snapshot_type, start, end)
    })
}

fn cursor(arguments: &mut Arguments<'_>) -> Result<String, String> {
    arguments.required("NAME").map(str::to_owned)
}

fn limit(arguments: &mut Arguments<'_>) -> Result<ReadLimit, String> {
    let items = arguments.number("items")?.unwrap_or(ReadLimit::NONE.items);
    let bytes = arguments.number("bytes")?.unwrap_or(ReadLimit::NONE.bytes);
    Ok(ReadLimit::NONE.with_items(items).with_bytes(bytes))
}
