//! From the journal to text: one event list, many renderers.
//!
//! Pure. Every foreign word goes through [`crate::text`] before it leaves here.

mod changes;
mod chart;
pub mod json;
pub mod junit;
pub mod lines;
pub mod markdown;
mod markup;
pub mod movement;
pub mod next;
mod words;

pub use markup::cut;

pub use words::{bytes, duration};
