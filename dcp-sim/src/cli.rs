//! The command line: arguments in, results on standard output, talk on standard error, an exit code out.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | all is well |
//! | 1 | a violation or a difference was found |
//! | 2 | the command makes no sense, or its input does not |
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
