//! Partial clones: the search for contents that the history names and the repository lacks.
//!
//! Only a repository that is marked as a partial clone is searched, since the search walks its
//! history. Nothing is fetched, so a read does not depend on a network.

use std::io::{self, BufRead, BufReader};

use super::command::{Git, start_error};
use super::object_id::ObjectId;
use crate::input::error::InputError;

/// Returns an object that the history up to `head` needs and a partial clone lacks.
pub(super) fn missing_object(git: &Git, head: &ObjectId) -> Result<Option<String>, InputError> {
    let settings = r"^(remote\..*\.promisor|extensions\.partialclone)$";
    // It fails if nothing is set.
    let is_partial = git
        .run(&["config", "--get-regexp", settings])?
        .status
        .success();
    if !is_partial {
        return Ok(None);
    }
    let walk = [
        "rev-list",
        "--quiet",
        "--objects",
        "--first-parent",
        "--missing=print",
        head.as_str(),
        "--",
    ];
    let mut command = git.command(&walk);
    // If the walk fails, reading the history fails too, with a message.
    command.stderr(std::process::Stdio::null());
    let mut child = command.spawn().map_err(start_error)?;
    let Some(output) = child.stdout.take() else {
        return Err(InputError::Io {
            what: "read from git rev-list".into(),
            source: io::ErrorKind::BrokenPipe.into(),
        });
    };
    let mut line = String::new();
    let read = BufReader::new(output).read_line(&mut line);
    // One object is enough. The process may have ended by itself.
    let _ = child.kill();
    let ended = child.wait().and(read);
    ended.map_err(|source| InputError::Io {
        what: "read from git rev-list".into(),
        source,
    })?;
    Ok(line.trim_end().strip_prefix('?').map(str::to_owned))
}
