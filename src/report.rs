//! From the journal to text: one event list, many renderers.
//!
//! Pure. Every foreign word goes through [`crate::text`] before it leaves here.

pub mod json;
pub mod junit;
pub mod lines;
pub mod markdown;
mod words;

pub use words::{bytes, duration};
