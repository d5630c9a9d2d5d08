//! The verbs of Image.

mod error;

pub use error::Error;
