//! The store as a program uses it, on disks in memory.

mod closing;
mod failing_disk;
mod figures;
mod filters;
mod followers;
mod leading;
mod replicas;
mod rig;
mod writes;
