//! The verbs of Image: records and what they say (`records`, `patch`), their data (`data`, `uploads`), with whom they are shared (`members`),
//! and their properties as Compute's metadata (`metadata`). No HTTP.

pub mod bootstrap;
pub mod data;
mod error;
pub mod members;
pub mod metadata;
pub mod patch;
pub mod records;
#[cfg(test)]
mod tests;
pub mod uploads;

pub use error::{Error, MemberDeed};
