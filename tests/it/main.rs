//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod documents;
mod harness;
mod load;
mod memory;
mod metadata;
mod pipelines;
mod rehearse;
mod schemas;
mod server;
mod service;
mod settle;
mod sign_in;
#[path = "../../src/azure/credential/testing.rs"]
#[expect(dead_code, reason = "the credential's own tests look at more of a request")]
mod tls_server;
mod trouble;
mod walls;
