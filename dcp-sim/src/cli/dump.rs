//! `dcp-sim dump`: the documents of a store as JSON lines, one row at a time.
//!
//! T4: each row of a commit comes once, in the order asked for. Keys come without the vendor's prefixes; values as they
//! were given, so those that a client compressed are still compressed.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lowtide_checkpoint::{DurabilityLevel, Item, Namespace, Operation, Seqno};
use lowtide_persistence::EngineError;
use lowtide_persistence::couchstore::{CouchFile, DocInfo, Keyring};
use serde::Serialize;

use super::output::{Output, tell};
use super::store::{KeyArguments, Target, Targets, text_or_hex};
use super::{Exit, Failure, log_store, quantity};

mod log;

const EXAMPLES: &str = "\
Examples:
  dcp-sim dump 7.couch.1
  dcp-sim dump /tmp/cluster/node-0 --vb 3 --by key
  dcp-sim dump 7.couch.1 --headers-back 1        as it was one commit before
  dcp-sim dump 7.couch.1 --local                 the vBucket's state, and what else is kept beside
";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct DumpArguments {
    /// A couchstore file, or the directory of either engine's store.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The order of the documents.
    #[arg(long, value_name = "ORDER", default_value = "seqno")]
    by: Order,
    /// Print the local documents instead.
    #[arg(long, conflicts_with = "by")]
    local: bool,
    /// Print what was there so many commits before the newest.
    #[arg(long, value_parser = quantity::count::<u64>, value_name = "N", default_value_t = 0)]
    headers_back: u64,
    /// Print one vBucket of a directory; else all of them, each line with its vBucket.
    #[arg(long, value_name = "N")]
    vb: Option<u16>,
    #[command(flatten)]
    keys: KeyArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// As they were written.
    Seqno,
    /// By key as it is stored, which begins with its name space and collection.
    Key,
}

/// A document as a line.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    vb: Option<u16>,
    seqno: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'static str>,
    rev_seqno: u64,
    cas: String,
    flags: u32,
    expiry: u32,
    datatype: u8,
    deleted: bool,
    #[serde(flatten)]
    durable: Durable,
    #[serde(flatten)]
    value: Value<'a>,
}

/// What only some revisions have: how a deletion came about, and what a durable write waits for.
#[derive(Default, Serialize)]
struct Durable {
    /// Of a tombstone.
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_source: Option<&'static str>,
    /// Of a prepare, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability_level: Option<&'static str>,
    /// Of a prepare: whether its commit deletes.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepare_is_delete: Option<bool>,
    /// Of an abort, and of a commit where it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepare_seqno: Option<u64>,
}

impl Durable {
    fn new(item: &Item) -> Self {
        let prepare_seqno = Some(item.prepare_seqno.0).filter(|&seqno| seqno > 0);
        match item.operation {
            Operation::Prepare => Self {
                durability_level: item.durability.map(level),
                prepare_is_delete: Some(item.deleted),
                ..Self::default()
            },
            Operation::Abort => Self {
                prepare_seqno: Some(item.prepare_seqno.0),
                ..Self::default()
            },
            Operation::Expiration => Self {
                delete_source: Some("ttl"),
                ..Self::default()
            },
            Operation::Deletion => Self {
                delete_source: Some("explicit"),
                ..Self::default()
            },
            Operation::Commit => {
                let delete_source = item.deleted.then_some("explicit");
                Self {
                    delete_source,
                    prepare_seqno,
                    ..Self::default()
                }
            }
            _ => Self::default(),
        }
    }
}

/// As clients write it.
const fn level(level: DurabilityLevel) -> &'static str {
    match level {
        DurabilityLevel::Majority => "majority",
        DurabilityLevel::MajorityAndPersistOnMaster => "majorityAndPersistOnMaster",
        DurabilityLevel::PersistToMajority => "persistToMajority",
    }
}

/// A local document as a line.
#[derive(Serialize)]
struct LocalLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    vb: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_hex: Option<String>,
    #[serde(flatten)]
    value: Value<'a>,
}

/// What is in place of a value: text, bytes that are none, or nothing.
#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "value")]
    Text(Option<&'a str>),
    #[serde(rename = "value_hex")]
    Bytes(String),
}

impl<'a> Value<'a> {
    fn new(value: Option<&'a [u8]>) -> Self {
        match value.map(text_or_hex) {
            None => Self::Text(None),
            Some((_, Some(hex))) => Self::Bytes(hex),
            Some((text, None)) => Self::Text(text),
        }
    }
}

pub(super) fn dump(arguments: &DumpArguments, out: &mut Output) -> Result<Exit, Failure> {
    if log_store::is_one(&arguments.path)? {
        return log::dump(arguments, out);
    }
    let keys = arguments.keys.read()?;
    let targets = Targets::find(&arguments.path, arguments.vb)?;
    targets.note_others();
    let mut out = out.rows();
    let mut exit = Exit::Ok;
    for target in &targets.files {
        let vb = target
            .vb
            .filter(|_| targets.is_directory && arguments.vb.is_none());
        let mut printer = Printer {
            out: &mut out,
            vb,
            unreadable: 0,
        };
        let printed = arguments.dump(target, &keys, &mut printer);
        if printer.unreadable > 0 {
            exit = Exit::Corrupt;
        }
        let printed = printed.and_then(|()| Ok(out.flush()?));
        match printed {
            Ok(()) => {}
            Err(Stop::Lost) => break,
            Err(Stop::Failed(failure)) => {
                let _ = out.flush();
                return Err(failure);
            }
        }
    }
    Ok(exit)
}

/// Why a dump ends before its end.
enum Stop {
    /// Nothing arrives any more.
    Lost,
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        // Rows fail in no other way.
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Lost
        } else {
            Self::Failed(error.into())
        }
    }
}

impl<E: Into<Failure>> From<Wrapped<E>> for Stop {
    fn from(Wrapped(error): Wrapped<E>) -> Self {
        Self::Failed(error.into())
    }
}

struct Wrapped<E>(E);

impl DumpArguments {
    fn dump(&self, target: &Target, keys: &Keyring, printer: &mut Printer<'_>) -> Result<(), Stop> {
        let file = self.open(target, keys).map_err(Wrapped)?;
        if self.local {
            let documents = file.local_docs().map_err(Wrapped)?;
            return documents
                .iter()
                .try_for_each(|(id, value)| printer.local(id, value));
        }
        match self.by {
            Order::Seqno => printer.rows(&file, file.doc_infos(Seqno::ZERO).map_err(Wrapped)?),
            Order::Key => printer.rows(&file, file.doc_infos_by_key().map_err(Wrapped)?),
        }
    }

    fn open(&self, target: &Target, keys: &Keyring) -> Result<CouchFile, Failure> {
        let mut file = target.open(keys)?;
        for back in 0..self.headers_back {
            file = file.older()?.ok_or_else(|| {
                let error = format!(
                    "{}: there are only {back} headers before the newest",
                    target.path
                );
                Failure::new(Exit::Usage, &error)
            })?;
        }
        Ok(file)
    }
}

struct Printer<'a> {
    out: &'a mut dyn Write,
    vb: Option<u16>,
    unreadable: u64,
}

impl Printer<'_> {
    fn rows(
        &mut self,
        file: &CouchFile,
        mut rows: impl Iterator<Item = Result<DocInfo, EngineError>>,
    ) -> Result<(), Stop> {
        rows.try_for_each(|row| {
            let info = match row {
                Ok(info) => info,
                // Behind a row that can't be read the next one is; behind a node that can't be, nothing is.
                Err(error @ EngineError::Corrupt { .. }) => {
                    self.unreadable += 1;
                    tell!("error: left out: {error}");
                    return Ok(());
                }
                Err(error) => return Err(Wrapped(error).into()),
            };
            match file.item(&info) {
                Ok(item) => self.row(info.deleted, &item),
                // The others can be read all the same.
                Err(error @ EngineError::Corrupt { .. }) => {
                    self.unreadable += 1;
                    tell!("error: seqno {} is left out: {error}", info.seqno);
                    Ok(())
                }
                Err(error) => Err(Wrapped(error).into()),
            }
        })
    }

    fn row(&mut self, deleted: bool, item: &Item) -> Result<(), Stop> {
        let (key, key_hex) = text_or_hex(item.key.user());
        self.line(&Line {
            vb: self.vb,
            seqno: item.seqno.0,
            key,
            key_hex,
            collection: Some(item.key.collection()).filter(|&collection| collection != 0),
            namespace: match item.operation.namespace() {
                Some(Namespace::Prepared) => Some("prepared"),
                Some(Namespace::System) => Some("system"),
                Some(Namespace::Committed) | None => None,
            },
            rev_seqno: item.rev_seqno,
            cas: item.cas.to_string(),
            flags: item.flags,
            expiry: item.expiry,
            datatype: item.datatype.0,
            // As the store has it: an abort is a deleted prepare.
            deleted,
            durable: Durable::new(item),
            value: Value::new(item.value.as_deref()),
        })
    }

    fn local(&mut self, id: &[u8], value: &[u8]) -> Result<(), Stop> {
        let (id, id_hex) = text_or_hex(id);
        self.line(&LocalLine {
            vb: self.vb,
            id,
            id_hex,
            value: Value::new(Some(value)),
        })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Stop> {
        serde_json::to_writer(&mut *self.out, line).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }
}
