//! Slotway releases an app through Azure App Service deployment slots.

pub mod emulator;
pub mod names;
pub mod secret;
