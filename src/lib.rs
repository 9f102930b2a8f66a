//! Slotway releases an app through Azure App Service deployment slots.

pub mod azure;
pub mod http;
pub mod names;
pub mod secret;
