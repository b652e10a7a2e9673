//! Commands of a world of nodes and streams, parsed from a line's words.

use bytes::Bytes;
use lowtide_checkpoint::{FailoverEntry, FailoverLog, Key, Seqno, State, VbUuid, Vbid};

use super::arguments::{Arguments, number};
use super::engine_command::{Write, key, writes};
use super::parse::LineError;
use crate::wire::{StreamRequest, StreamRequestFlags};

/// Options of `node`.
#[derive(Clone, Debug)]
pub(in crate::script) struct NodeOptions {
    pub(in crate::script) name: String,
    pub(in crate::script) vbuckets: u16,
}

impl NodeOptions {
    pub(in crate::script) fn take(arguments: &mut Arguments<'_>) -> Result<Self, String> {
        let vbuckets = arguments.positive("vbs")?.unwrap_or(1);
        arguments.choice("engine", &[("couchstore", ())])?;
        Ok(Self {
            name: name(arguments)?,
            vbuckets,
        })
    }
}

/// Options that a connection negotiates before its stream request.
#[derive(Clone, Copy, Debug)]
pub(in crate::script) struct Negotiated {
    pub(in crate::script) noop: bool,
    pub(in crate::script) sync_writes: bool,
    pub(in crate::script) stream_ids: bool,
    pub(in crate::script) collections: bool,
}

#[derive(Clone, Debug)]
pub(in crate::script) enum StreamCommand {
    FailoverLog {
        node: String,
        vb: Vbid,
        log: FailoverLog,
    },
    VBucket {
        node: String,
        vb: Vbid,
        high: Seqno,
        purge: Seqno,
    },
    StreamRequest {
        node: String,
        vb: Vbid,
        wanted: StreamRequest,
        negotiated: Negotiated,
        /// `true` to print the stream's messages, too.
        reads: bool,
    },
    Write {
        node: String,
        vb: Vbid,
        writes: Vec<Write>,
    },
    Close {
        node: String,
        vb: Vbid,
    },
    Flush {
        node: String,
    },
    Recover {
        node: String,
        vb: Vbid,
    },
    Purge {
        node: String,
        vb: Vbid,
        upto: Seqno,
    },
    SetState {
        node: String,
        vb: Vbid,
        state: State,
        uuid: Option<VbUuid>,
    },
    Show {
        node: String,
        vb: Vbid,
    },
    Connect {
        link: Link,
        options: ConnectOptions,
    },
    Disconnect(Link),
    /// Holds the consumer's output, or releases it.
    Hold(Link, bool),
    TakeOver(Link, Vbid),
    Step(usize),
    RunUntilSettled,
    Wait {
        seconds: u64,
    },
    Get {
        node: String,
        vb: Vbid,
        key: Key,
    },
    Compare {
        nodes: [String; 2],
        vb: Option<Vbid>,
    },
}

/// `A -> B`: node of the producer, and node of the consumer.
#[derive(Clone, Debug)]
pub(in crate::script) struct Link {
    pub(in crate::script) from: String,
    pub(in crate::script) to: String,
}

/// Options of `connect`.
#[derive(Clone, Copy, Debug)]
pub(in crate::script) struct ConnectOptions {
    pub(in crate::script) buffer_bytes: u32,
    pub(in crate::script) noop_seconds: u32,
    /// Seqno at which streams end, with its snapshot.
    pub(in crate::script) end: Seqno,
}

/// Default flow-control buffer.
const BUFFER_BYTES: u32 = 10 << 20;
/// Default interval of no-operations in seconds.
const NOOP_SECONDS: u32 = 20;

impl StreamCommand {
    /// Parses the command `name`; `None` for an unknown one.
    pub(in crate::script) fn take(
        command: &str,
        arguments: &mut Arguments<'_>,
    ) -> Result<Option<Self>, String> {
        Ok(Some(match command {
            "vbucket" => Self::VBucket {
                node: name(arguments)?,
                vb: vb(arguments)?,
                high: Seqno(arguments.needed("high")?),
                purge: Seqno(arguments.number("purge")?.unwrap_or(0)),
            },
            "stream-request" => {
                let negotiated = Negotiated {
                    noop: arguments
                        .choice("noop", &[("yes", true), ("no", false)])?
                        .unwrap_or(true),
                    sync_writes: arguments.choice("sync-writes", &[("yes", true)])?.is_some(),
                    stream_ids: arguments.choice("stream-ids", &[("yes", true)])?.is_some(),
                    collections: arguments
                        .choice("collections", &[("no", false)])?
                        .unwrap_or(true),
                };
                let reads = arguments.choice("read", &[("yes", true)])?.is_some();
                let node = name(arguments)?;
                let vb = vb(arguments)?;
                Self::StreamRequest {
                    node,
                    vb,
                    wanted: wanted(arguments)?,
                    negotiated,
                    reads,
                }
            }
            "close" => Self::Close {
                node: name(arguments)?,
                vb: vb(arguments)?,
            },
            "flush" => Self::Flush {
                node: name(arguments)?,
            },
            "recover" => Self::Recover {
                node: name(arguments)?,
                vb: vb(arguments)?,
            },
            "purge" => Self::Purge {
                node: name(arguments)?,
                vb: vb(arguments)?,
                upto: Seqno(arguments.needed("upto")?),
            },
            "set-state" => {
                let node = name(arguments)?;
                let vb = vb(arguments)?;
                let state = arguments.required("STATE")?;
                let state =
                    State::from_name(state).ok_or_else(|| format!("unknown state `{state}`"))?;
                let uuid = arguments
                    .option("uuid")
                    .map(|uuid| number("`uuid=`", uuid))
                    .transpose()?;
                Self::SetState {
                    node,
                    vb,
                    state,
                    uuid: uuid.map(VbUuid),
                }
            }
            "show" => Self::Show {
                node: name(arguments)?,
                vb: vb(arguments)?,
            },
            "connect" => {
                let options = ConnectOptions {
                    buffer_bytes: arguments.positive("buffer")?.unwrap_or(BUFFER_BYTES),
                    noop_seconds: arguments.positive("noop")?.unwrap_or(NOOP_SECONDS),
                    end: arguments.number("end")?.map_or(Seqno::MAX, Seqno),
                };
                Self::Connect {
                    link: link(arguments)?,
                    options,
                }
            }
            "disconnect" => Self::Disconnect(link(arguments)?),
            "hold" => Self::Hold(link(arguments)?, true),
            "release" => Self::Hold(link(arguments)?, false),
            "take-over" => Self::TakeOver(link(arguments)?, vb(arguments)?),
            "step" => {
                let messages = arguments
                    .positional()
                    .map_or(Ok(1), |count| number("N", count))?;
                Self::Step(usize::try_from(messages).unwrap_or(usize::MAX))
            }
            "run-until" => match arguments.required("`settled`")? {
                "settled" => Self::RunUntilSettled,
                other => return Err(format!("`run-until` takes `settled`, not `{other}`")),
            },
            "wait" => Self::Wait {
                seconds: arguments.required_number("SECONDS")?,
            },
            "get" => Self::Get {
                node: name(arguments)?,
                vb: vb(arguments)?,
                key: key(arguments)?,
            },
            "compare" => Self::Compare {
                nodes: [name(arguments)?, name(arguments)?],
                vb: arguments.number("vb")?.map(Vbid),
            },
            _ => return Ok(None),
        }))
    }

    /// Parses `write` with its input lines.
    pub(in crate::script) fn write(
        arguments: &mut Arguments<'_>,
        input: &[(usize, &str)],
    ) -> Result<Self, LineError> {
        let here = |what| (0, what);
        let node = name(arguments).map_err(here)?;
        let vb = vb(arguments).map_err(here)?;
        let collection = arguments.number("collection").map_err(here)?.unwrap_or(0);
        let mut writes = writes(input)?;
        for write in &mut writes {
            write.key = Key::in_collection(collection, write.key.user());
        }
        Ok(Self::Write { node, vb, writes })
    }

    /// Parses `failover-log` with its input lines.
    pub(in crate::script) fn failover_log(
        arguments: &mut Arguments<'_>,
        input: &[(usize, &str)],
    ) -> Result<Self, LineError> {
        let entries = input
            .iter()
            .map(|&(line, text)| entry(text).map_err(|what| (line, what)));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let here = |what| (0, what);
        let log = FailoverLog::from_entries(entries).map_err(|error| here(error.to_string()))?;
        Ok(Self::FailoverLog {
            node: name(arguments).map_err(here)?,
            vb: vb(arguments).map_err(here)?,
            log,
        })
    }
}

/// Parses `UUID SEQNO`.
fn entry(text: &str) -> Result<FailoverEntry, String> {
    let mut words = Arguments::new(text)?;
    let uuid = VbUuid(number("UUID", words.required("UUID")?)?);
    let seqno = Seqno(words.required_number("SEQNO")?);
    words.finish().map(|()| FailoverEntry { uuid, seqno })
}

fn wanted(arguments: &mut Arguments<'_>) -> Result<StreamRequest, String> {
    let snapshot = arguments
        .option("snap")
        .ok_or_else(|| "`snap=` is missing".to_owned())?;
    let (from, to) = snapshot
        .split_once('-')
        .ok_or_else(|| "`snap=` takes A-B".to_owned())?;
    let flags = arguments
        .option("flags")
        .map_or(Ok(0), |flags| number("`flags=`", flags))?;
    Ok(StreamRequest {
        flags: StreamRequestFlags(
            u32::try_from(flags).map_err(|_| "`flags=` takes 32 bits".to_owned())?,
        ),
        start: Seqno(arguments.needed("start")?),
        end: Seqno(arguments.needed("end")?),
        uuid: VbUuid(number(
            "`uuid=`",
            arguments
                .option("uuid")
                .ok_or_else(|| "`uuid=` is missing".to_owned())?,
        )?),
        snapshot_start: Seqno(number("`snap=`", from)?),
        snapshot_end: Seqno(number("`snap=`", to)?),
        filter: Bytes::copy_from_slice(arguments.option("filter").unwrap_or_default().as_bytes()),
    })
}

fn link(arguments: &mut Arguments<'_>) -> Result<Link, String> {
    let from = name(arguments)?;
    match arguments.required("`->`")? {
        "->" => Ok(Link {
            from,
            to: name(arguments)?,
        }),
        other => Err(format!("expected `->` between two nodes, not `{other}`")),
    }
}

fn name(arguments: &mut Arguments<'_>) -> Result<String, String> {
    arguments.required("NAME").map(str::to_owned)
}

fn vb(arguments: &mut Arguments<'_>) -> Result<Vbid, String> {
    Ok(Vbid(arguments.number("vb")?.unwrap_or(0)))
}
