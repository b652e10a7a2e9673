//! What the commands act on: nothing yet, a checkpoint manager, or an engine on its disk.

use super::checkpoint_world::CheckpointWorld;
use super::command::Command;
use super::engine_world::EngineWorld;
use super::print::Output;

#[derive(Debug, Default)]
pub(super) enum World {
    #[default]
    Empty,
    Checkpoint(CheckpointWorld),
    Engine(EngineWorld),
}

impl World {
    /// Runs a command. What it needs was started before it, else it would not have been understood.
    pub(super) fn run(&mut self, command: &Command) -> Output {
        match (command, &mut *self) {
            (Command::Manager(options), _) => *self = Self::Checkpoint(CheckpointWorld::new(options)),
            (Command::Engine(options), _) => {
                let (world, opened) = EngineWorld::new(options);
                *self = Self::Engine(world);
                opened?;
            }
            (Command::Reset, _) => *self = Self::Empty,
            (Command::InCheckpoint(command), Self::Checkpoint(world)) => return world.run(command),
            (Command::InEngine(command), Self::Engine(world)) => return world.run(command),
            (Command::InCheckpoint(_) | Command::InEngine(_), _) => return Err("no-world"),
        }
        Ok(Vec::new())
    }
}
