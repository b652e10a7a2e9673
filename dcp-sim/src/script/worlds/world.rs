//! World of a scenario: empty, a checkpoint manager, an engine on its disk, or nodes with streams
//! between them.

use lowtide_checkpoint::internal::violated;

use super::checkpoint_world::CheckpointWorld;
use super::engine::EngineWorld;
use super::print::Output;
use super::stream::StreamWorld;
use crate::script::language::Command;

#[derive(Debug, Default)]
pub(in crate::script) enum World {
    #[default]
    Empty,
    Checkpoint(CheckpointWorld),
    Engine(EngineWorld),
    Streams(StreamWorld),
}

impl World {
    /// Runs a command. The parser has verified that its world was started before.
    pub(in crate::script) fn run(&mut self, command: &Command) -> Output {
        match (command, &mut *self) {
            (Command::Manager(options), _) => {
                *self = Self::Checkpoint(CheckpointWorld::new(options))
            }
            (Command::Engine(options), _) => {
                let (world, opened) = EngineWorld::new(options);
                *self = Self::Engine(world);
                opened?;
            }
            (Command::Node(options), Self::Streams(world)) => return world.add(options),
            (Command::Node(options), _) => {
                let mut world = StreamWorld::default();
                let added = world.add(options);
                *self = Self::Streams(world);
                return added;
            }
            (Command::Reset, _) => *self = Self::Empty,
            (Command::InCheckpoint(command), Self::Checkpoint(world)) => return world.run(command),
            (Command::InEngine(command), Self::Engine(world)) => return world.run(command),
            (Command::InStreams(command), Self::Streams(world)) => return world.run(command),
            (Command::InCheckpoint(_) | Command::InEngine(_) | Command::InStreams(_), _) => {
                // The command fails, which is shown. The others are not affected.
                let _violation = violated("W21", "a command has the world that it needs");
                return Err("no-world");
            }
        }
        Ok(Vec::new())
    }
}
