//! Commands of a storage engine's world, parsed from a line's words.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Key, Seqno, Vbid};
use lowtide_persistence::EnginePoint;
use lowtide_persistence::disk::{Fault, PowerLoss};

use super::arguments::{Arguments, one_of};
use super::key_format::KeyFormat;
use super::parse::LineError;
use super::value::Value;

/// One line of a commit.
#[derive(Clone, Debug)]
pub(in crate::script) struct Write {
    pub(in crate::script) key: Key,
    /// `None` for a deletion.
    pub(in crate::script) value: Option<Value>,
}

#[derive(Clone, Debug)]
pub(in crate::script) struct Fill {
    pub(in crate::script) vb: Vbid,
    pub(in crate::script) keys: KeyFormat,
    pub(in crate::script) from: u64,
    pub(in crate::script) to: u64,
    pub(in crate::script) modulo: Option<u64>,
    pub(in crate::script) size: Value,
    pub(in crate::script) batch: usize,
}

/// Source of a read: a vBucket in its current state, or in the state of a pinned snapshot.
#[derive(Clone, Debug)]
pub(in crate::script) enum View {
    Now(Vbid),
    At { snapshot: String, vb: Option<Vbid> },
}

#[derive(Clone, Debug)]
pub(in crate::script) enum EngineCommand {
    Commit {
        vb: Vbid,
        writes: Vec<Write>,
    },
    CommitGroup(BTreeMap<Vbid, Vec<Write>>),
    Fill(Fill),
    Put {
        vb: Vbid,
        seqno: Seqno,
        write: Write,
    },
    Get {
        vb: Vbid,
        key: Key,
    },
    Scan {
        view: View,
        from: Seqno,
        to: Seqno,
    },
    Digest(View),
    Snapshot {
        name: String,
        vb: Vbid,
    },
    Release {
        name: String,
    },
    Drop(Vbid),
    Create(Vbid),
    Rollback {
        vb: Vbid,
        to: Seqno,
    },
    Purge {
        vb: Vbid,
        upto: Seqno,
    },
    Info(Vbid),
    Stats,
    FailWrite {
        nth: u64,
        fault: Fault,
    },
    FailSync {
        nth: u64,
    },
    Crash {
        keep: KeepChoice,
        seed: Option<u64>,
    },
    Compact {
        vb: Vbid,
        pause: Option<EnginePoint>,
    },
    Resume {
        pause: Option<EnginePoint>,
    },
    Separate,
    CrashAtIo(u64),
    CrashAtPoint(EnginePoint),
    Reopen,
}

/// Data that a crash keeps; the default seed of a random one is the world's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::script) enum KeepChoice {
    None,
    All,
    Random,
}

impl KeepChoice {
    pub(in crate::script) fn with_seed(self, seed: u64) -> PowerLoss {
        match self {
            Self::None => PowerLoss::DropUnsynced,
            Self::All => PowerLoss::KeepUnsynced,
            Self::Random => PowerLoss::Random { seed },
        }
    }
}

impl EngineCommand {
    /// Parses the command `name`; `None` for an unknown one.
    pub(in crate::script) fn take(
        name: &str,
        arguments: &mut Arguments<'_>,
    ) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            "fill" => Self::Fill(fill(arguments)?),
            "put" => {
                let vb = vb(arguments)?;
                let seqno = Seqno(arguments.needed("seqno")?);
                let key = key(arguments)?;
                let value = arguments.required("VALUE")?;
                let value = Value::Word(bytes::Bytes::copy_from_slice(value.as_bytes()));
                Self::Put {
                    vb,
                    seqno,
                    write: Write {
                        key,
                        value: Some(value),
                    },
                }
            }
            "get" => Self::Get {
                vb: vb(arguments)?,
                key: key(arguments)?,
            },
            "scan" => Self::Scan {
                view: view(arguments)?,
                from: Seqno(arguments.number("from")?.unwrap_or(0)),
                to: arguments.number("to")?.map_or(Seqno::MAX, Seqno),
            },
            "digest" => Self::Digest(view(arguments)?),
            "snapshot" => Self::Snapshot {
                name: word(arguments)?,
                vb: vb(arguments)?,
            },
            "release" => Self::Release {
                name: word(arguments)?,
            },
            "drop" => Self::Drop(Vbid(arguments.needed("vb")?)),
            "create" => Self::Create(Vbid(arguments.needed("vb")?)),
            "rollback" => Self::Rollback {
                vb: vb(arguments)?,
                to: Seqno(arguments.needed("to")?),
            },
            "purge" => Self::Purge {
                vb: vb(arguments)?,
                upto: Seqno(arguments.needed("upto")?),
            },
            "info" => Self::Info(vb(arguments)?),
            "engine-stats" => Self::Stats,
            "fail" => fail(arguments)?,
            "crash" => {
                let choices = [
                    ("none", KeepChoice::None),
                    ("all", KeepChoice::All),
                    ("random", KeepChoice::Random),
                ];
                let keep = arguments
                    .choice("keep", &choices)?
                    .unwrap_or(KeepChoice::None);
                // Only a random crash takes a seed: elsewhere a seed decides nothing, so it is an
                // error.
                let seed = if keep == KeepChoice::Random {
                    arguments.number("seed")?
                } else {
                    None
                };
                Self::Crash { keep, seed }
            }
            "compact" => Self::Compact {
                vb: vb(arguments)?,
                pause: arguments.choice("pause", &points())?,
            },
            "resume" => Self::Resume {
                pause: arguments.choice("pause", &points())?,
            },
            "separate" => Self::Separate,
            "crash-at" => match (
                arguments.positive("io")?,
                arguments.choice("point", &points())?,
            ) {
                (Some(io), None) => Self::CrashAtIo(io),
                (None, Some(point)) => Self::CrashAtPoint(point),
                _ => return Err("`io=` or `point=` is needed".to_owned()),
            },
            "reopen" => Self::Reopen,
            _ => return Ok(None),
        }))
    }

    /// Parses `commit` with its input lines.
    pub(in crate::script) fn commit(
        arguments: &mut Arguments<'_>,
        input: &[(usize, &str)],
    ) -> Result<Self, LineError> {
        // The caller knows the command's own line.
        let vb = vb(arguments).map_err(|what| (0, what))?;
        Ok(Self::Commit {
            vb,
            writes: writes(input)?,
        })
    }

    /// Parses `commit-group` with its input lines.
    pub(in crate::script) fn commit_group(input: &[(usize, &str)]) -> Result<Self, LineError> {
        let mut batches = BTreeMap::<_, Vec<_>>::new();
        for &(number, text) in input {
            let line = |text| {
                let mut words = Arguments::new(text)?;
                let line = (Vbid(words.needed("vb")?), write(&mut words)?);
                words.finish().map(|()| line)
            };
            let (vb, write) = line(text).map_err(|what| (number, what))?;
            batches.entry(vb).or_default().push(write);
        }
        Ok(Self::CommitGroup(batches))
    }
}

/// Parses one write per line.
pub(in crate::script) fn writes(input: &[(usize, &str)]) -> Result<Vec<Write>, LineError> {
    let line = |&(number, text): &(usize, &str)| {
        let mut words = Arguments::new(text).map_err(|what| (number, what))?;
        let write = write(&mut words).and_then(|write| words.finish().map(|()| write));
        write.map_err(|what| (number, what))
    };
    input.iter().map(line).collect()
}

/// Parses `set KEY VALUE`, `set KEY size=N` or `delete KEY`.
fn write(words: &mut Arguments<'_>) -> Result<Write, String> {
    let is_set = one_of(
        "the write",
        words.required("`set` or `delete`")?,
        &[("set", true), ("delete", false)],
    )?;
    let key = key(words)?;
    if !is_set {
        return Ok(Write { key, value: None });
    }
    let value = Value::take(words)?.ok_or_else(|| "VALUE or `size=` is missing".to_owned())?;
    Ok(Write {
        key,
        value: Some(value),
    })
}

fn fill(arguments: &mut Arguments<'_>) -> Result<Fill, String> {
    let keys = arguments
        .option("keys")
        .ok_or_else(|| "`keys=` is missing".to_owned())?;
    let fill = Fill {
        vb: vb(arguments)?,
        keys: KeyFormat::new(keys)?,
        from: arguments.needed("from")?,
        to: arguments.needed("to")?,
        modulo: arguments.positive("modulo")?,
        size: Value::Size(arguments.needed("size")?),
        batch: arguments.positive("batch")?.unwrap_or(1),
    };
    if fill.from > fill.to {
        return Err("`from=` must be at most `to=`".to_owned());
    }
    Ok(fill)
}

fn fail(arguments: &mut Arguments<'_>) -> Result<EngineCommand, String> {
    let is_write = one_of(
        "what fails",
        arguments.required("`write` or `sync`")?,
        &[("write", true), ("sync", false)],
    )?;
    let nth = arguments
        .positive("nth")?
        .ok_or_else(|| "`nth=` is missing".to_owned())?;
    if !is_write {
        return Ok(EngineCommand::FailSync { nth });
    }
    let faults = [
        ("eio", Fault::Eio),
        ("enospc", Fault::Enospc),
        ("eio-persisted", Fault::EioPersisted),
    ];
    let fault = match (arguments.number("torn")?, arguments.positional()) {
        (Some(bytes), None) => Fault::Torn { bytes },
        (Some(_), Some(_)) => return Err("a write fails in one way only".to_owned()),
        (None, Some(word)) => one_of("the fault", word, &faults)?,
        (None, None) => Fault::Eio,
    };
    Ok(EngineCommand::FailWrite { nth, fault })
}

fn view(arguments: &mut Arguments<'_>) -> Result<View, String> {
    match arguments.option("at") {
        Some(snapshot) => Ok(View::At {
            snapshot: snapshot.to_owned(),
            vb: arguments.number("vb")?.map(Vbid),
        }),
        None => vb(arguments).map(View::Now),
    }
}

fn vb(arguments: &mut Arguments<'_>) -> Result<Vbid, String> {
    Ok(Vbid(arguments.number("vb")?.unwrap_or(0)))
}

pub(in crate::script) fn key(arguments: &mut Arguments<'_>) -> Result<Key, String> {
    arguments
        .required("KEY")
        .map(|key| Key::new(key.as_bytes()))
}

fn word(arguments: &mut Arguments<'_>) -> Result<String, String> {
    arguments.required("NAME").map(str::to_owned)
}

/// Returns the points of both engines by their words.
fn points() -> [(&'static str, EnginePoint); EnginePoint::ALL.len()] {
    EnginePoint::ALL.map(|point| (point.as_str(), point))
}
