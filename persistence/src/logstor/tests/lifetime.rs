//! The lifetime of a store: the directory it opens, the handles it needs, and a drop without a
//! close.

mod dropped;
mod handles;
mod owners;
