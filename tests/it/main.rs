//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod documents;
mod harness;
mod load;
mod memory;
mod metadata;
mod rehearse;
mod server;
mod service;
mod settle;
mod sign_in;
mod trouble;
mod walls;
