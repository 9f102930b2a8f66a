//! App Service as a consumer of its API sees it, on this machine.
//!
//! A pure world under thin skins. Must not use anything of the rest of the program
//! but `crate::names`, read the environment, print, or exit.

pub mod authority;
pub mod front;
pub mod runtime;
pub mod scenario;
pub mod token;
pub mod wire;
pub mod world;
