//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod harness;
mod rehearse;
mod walls;
