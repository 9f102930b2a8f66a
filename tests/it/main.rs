//! Drives the real binary against the emulator, outcome by outcome.

mod bad_input;
mod changed;
mod clients;
mod configuration;
mod containers;
mod documents;
mod failures;
mod faults;
mod full_disk;
mod harness;
mod host_rules;
mod launcher;
mod load;
mod memory;
mod metadata;
mod mutation;
mod network;
mod orders;
mod pipelines;
mod publish_profile;
mod quiet;
mod rehearse;
mod rival;
mod schemas;
mod server;
mod service;
mod settle;
mod sign_in;
mod signals;
mod summary;
#[path = "../../src/azure/credential/testing.rs"]
#[expect(dead_code, reason = "the credential's own tests look at more of a request")]
mod tls_server;
mod trouble;
mod walls;
