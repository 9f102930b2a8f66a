//! Slotway releases an app through Azure App Service deployment slots.

pub mod azure;
pub mod checks;
pub mod facts;
pub mod http;
pub mod names;
pub mod plan;
pub mod release;
pub mod secret;
