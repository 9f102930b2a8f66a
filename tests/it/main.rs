//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod harness;
mod load;
mod memory;
mod metadata;
mod rehearse;
mod server;
mod service;
mod trouble;
mod walls;
