//! The verbs of Image.

mod error;
pub mod metadata;
#[cfg(test)]
mod tests;

pub use error::Error;
