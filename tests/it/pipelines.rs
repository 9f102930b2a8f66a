//! The packages as the hosts start them: node runs the launcher with the environment of
//! a GitHub runner or an Azure Pipelines agent, the launcher runs the binary against the
//! emulator, and what the host would read is read here: its commands and its files.
//!
//! What the steps are given is taken from the files under `examples/`, so that it is the
//! examples that are tested.

mod agent;
mod approval;
mod cancelled;
mod cloud;
mod errors;
mod example;
mod forms;
mod issuer;
mod one_step;
mod planted;
mod rollback;
mod runner;
mod signing_in;
mod started;
mod told;
