//! Gets and commits before the index is loaded, and the loads themselves.

mod concurrent;
mod damage;
mod gets;
mod loads;
mod power_loss;
mod stores;
