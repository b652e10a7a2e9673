//! Partial clones: whether a repository lacks contents that its history names, found out before any of it is read.
//!
//! Only a repository that says it is a partial clone is looked through, because that costs a walk over its history. Nothing
//! is fetched: what is read does not depend on a network.

use std::io::{BufRead, BufReader};

use super::command::{Git, start_error};
use super::object_id::ObjectId;
use crate::input::error::InputError;

/// Returns an object that the history up to `head` needs and a partial clone does not have; `None` if there is none.
pub(super) fn missing_object(git: &Git, head: &ObjectId) -> Result<Option<String>, InputError> {
    let settings = r"^(remote\..*\.promisor|extensions\.partialclone)$";
    // Fails if nothing is set.
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
    // Where the walk fails, reading the history will, and says why.
    command.stderr(std::process::Stdio::null());
    let mut child = command.spawn().map_err(start_error)?;
    let Some(output) = child.stdout.take() else {
        return Ok(None);
    };
    let mut line = String::new();
    let read = BufReader::new(output).read_line(&mut line);
    // One is enough. If it ended by itself, there is nothing to stop.
    let _ = child.kill();
    let ended = child.wait().and(read);
    ended.map_err(|source| InputError::Io {
        what: "read from git rev-list".into(),
        source,
    })?;
    Ok(line.trim_end().strip_prefix('?').map(str::to_owned))
}
