//! Who runs us: the door at both ends of the data's way.
//!
//! Owns how things are shown where Slotway runs. Must not decide anything about a
//! release, nor format an event: the words come from [`crate::report`].

pub mod terminal;
