//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod containers;
mod documents;
mod harness;
mod load;
mod memory;
mod metadata;
mod pipelines;
mod publish_profile;
mod rehearse;
mod server;
mod service;
mod settle;
mod sign_in;
mod summary;
mod trouble;
mod walls;
