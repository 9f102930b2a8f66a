//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod configuration;
mod documents;
mod failures;
mod faults;
mod full_disk;
mod harness;
mod host_rules;
mod load;
mod memory;
mod metadata;
mod mutation;
mod network;
mod orders;
mod quiet;
mod rehearse;
mod server;
mod service;
mod sign_in;
mod signals;
mod trouble;
mod walls;
