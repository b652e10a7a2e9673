//! Language of scenario files: the parser from text to typed commands.

mod arguments;
mod checkpoint_command;
pub(super) mod command;
mod engine_command;
mod engine_options;
mod key_format;
pub(super) mod parse;
mod stream_command;
mod value;

pub(super) use checkpoint_command::{CheckpointCommand, ManagerOptions};
pub(super) use command::Command;
pub(super) use engine_command::{EngineCommand, Fill, View, Write};
pub(super) use engine_options::{EngineOptions, Store};
pub(super) use parse::Block;
pub(super) use stream_command::{ConnectOptions, Link, Negotiated, NodeOptions, StreamCommand};
pub(super) use value::Value;
