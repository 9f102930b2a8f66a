//! Slotway releases an app through Azure App Service deployment slots.
//!
//! The data goes one way: [`cli`] gathers raw [`inputs`], reads [`facts`] from
//! [`azure`], lets [`plan`] decide, hands the plan to [`release`], which proves each
//! step with [`checks`] and writes everything into its journal, from which
//! [`report`] makes text for [`host`]. [`emulator`] is the other side of the wire.

pub mod artifact;
pub mod azure;
pub mod checks;
pub mod cli;
pub mod clock;
pub mod emulator;
pub mod error;
pub mod facts;
pub mod host;
pub mod http;
pub mod inputs;
pub mod names;
pub mod plan;
pub mod release;
pub mod report;
pub mod scratch;
pub mod secret;
pub mod source;
pub mod text;
