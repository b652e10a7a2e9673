//! The command line: arguments, results on standard output, messages on standard error, and an exit
//! code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | a violation or a difference was found |
//! | 2 | the command or its input is invalid |
//! | 3 | reading or writing failed |
//! | 4 | a file is corrupt |

mod command;
mod exit;
mod failure;
mod new_file;
mod ordered_map;
mod output;
mod quantity;
mod script;
mod simulate;
mod tools;

pub use command::main;
