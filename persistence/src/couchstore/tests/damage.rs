//! Damaged and forged files: every operation ends, in content or in an error that names the place.

mod hostile_trees;
mod lying_rows;
mod mutated_files;
mod shrinking_files;
mod unreadable_files;
