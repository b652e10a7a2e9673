//! The operations of a program on an open store, one file for each kind.

pub(super) mod apply;
pub(super) mod change;
pub(super) mod durable;
pub(super) mod figures;
pub(super) mod follow;
pub(super) mod read;
pub(super) mod roles;
pub(super) mod write;
