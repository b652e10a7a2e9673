//! Typed commands, made from blocks of a file.
//!
//! # Invariants
//!
//! - A command is valid only after the start of its world.
//! - Every word of a line is parsed.
//! - Input lines are valid only below commands that read them.

use super::arguments::Arguments;
use super::checkpoint_command::{CheckpointCommand, ManagerOptions};
use super::engine_command::EngineCommand;
use super::engine_options::EngineOptions;
use super::parse::{Block, LineError};
use super::stream_command::{NodeOptions, StreamCommand};

#[derive(Clone, Debug)]
pub(in crate::script) enum Command {
    Manager(ManagerOptions),
    Engine(EngineOptions),
    Node(NodeOptions),
    Reset,
    InCheckpoint(CheckpointCommand),
    InEngine(EngineCommand),
    InStreams(StreamCommand),
}

/// World of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    None,
    Checkpoint,
    Engine,
    Streams,
}

/// Parses all blocks, up to the first invalid line.
pub(in crate::script) fn commands(blocks: &[Block<'_>]) -> Result<Vec<Command>, LineError> {
    let mut section = Section::None;
    let mut commands = Vec::with_capacity(blocks.len());
    for block in blocks {
        let command = command(block, section)
            .map_err(|(line, what)| (if line == 0 { block.line } else { line }, what))?;
        section = match command {
            Command::Manager(_) => Section::Checkpoint,
            Command::Engine(_) => Section::Engine,
            Command::Node(_) => Section::Streams,
            Command::Reset => Section::None,
            Command::InCheckpoint(_) | Command::InEngine(_) | Command::InStreams(_) => section,
        };
        commands.push(command);
    }
    Ok(commands)
}

/// Parses one block. Line 0 in an error is the command's own.
fn command(block: &Block<'_>, section: Section) -> Result<Command, LineError> {
    let here = |what| (0, what);
    let (name, rest) = block
        .command
        .split_once(char::is_whitespace)
        .unwrap_or((block.command, ""));
    let mut arguments = Arguments::new(rest).map_err(here)?;
    let in_engine = section == Section::Engine;
    let command = match name {
        "commit" if in_engine => {
            Command::InEngine(EngineCommand::commit(&mut arguments, &block.input)?)
        }
        "commit-group" if in_engine => {
            Command::InEngine(EngineCommand::commit_group(&block.input)?)
        }
        "write" if section == Section::Streams => {
            Command::InStreams(StreamCommand::write(&mut arguments, &block.input)?)
        }
        "failover-log" if section == Section::Streams => {
            Command::InStreams(StreamCommand::failover_log(&mut arguments, &block.input)?)
        }
        _ => {
            if let Some((line, _)) = block.input.first() {
                return Err((*line, format!("`{name}` takes no input lines")));
            }
            plain(name, &mut arguments, section).map_err(here)?
        }
    };
    arguments.finish().map_err(here)?;
    Ok(command)
}

/// Parses a command without input lines.
fn plain(name: &str, arguments: &mut Arguments<'_>, section: Section) -> Result<Command, String> {
    match name {
        "manager" => return ManagerOptions::take(arguments).map(Command::Manager),
        "engine" => return EngineOptions::take(arguments).map(Command::Engine),
        "node" => return NodeOptions::take(arguments).map(Command::Node),
        "reset" => return Ok(Command::Reset),
        _ => {}
    }
    let command = match section {
        Section::Checkpoint => CheckpointCommand::take(name, arguments)?.map(Command::InCheckpoint),
        Section::Engine => EngineCommand::take(name, arguments)?.map(Command::InEngine),
        Section::Streams => StreamCommand::take(name, arguments)?.map(Command::InStreams),
        Section::None => None,
    };
    command.ok_or_else(|| match section {
        Section::None => {
            format!("`{name}` comes before a `manager`, an `engine` or a `node`")
        }
        Section::Checkpoint => format!("`{name}` is not a command of a checkpoint manager"),
        Section::Engine => format!("`{name}` is not a command of an engine"),
        Section::Streams => format!("`{name}` is not a command of nodes and streams"),
    })
}
