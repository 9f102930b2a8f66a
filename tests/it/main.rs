//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod documents;
mod harness;
mod host_rules;
mod load;
mod memory;
mod metadata;
mod mutation;
mod orders;
mod rehearse;
mod server;
mod service;
mod sign_in;
mod trouble;
mod walls;
