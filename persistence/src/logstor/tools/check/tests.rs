//! Sound stores are called sound, whatever a crash has left of them, and no damage goes unnoticed
//! (T9).

mod damage;
mod images;
mod sound;
mod stores;
mod written_meanwhile;
