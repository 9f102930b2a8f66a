//! Slotway releases an app through Azure App Service deployment slots.

pub mod artifact;
pub mod checks;
pub mod names;
pub mod secret;
