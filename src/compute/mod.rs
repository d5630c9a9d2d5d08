//! The verbs of Compute: what is done to servers and their like, in transaction scripts. No HTTP, no clocks, no chance.

pub mod bootstrap;
mod error;
pub mod flavors;
pub mod guests;
pub mod key_pairs;
pub mod limits;
pub mod metadata;
pub mod quota;
pub mod quota_sets;
pub mod server_actions;
pub mod servers;
pub mod work;

pub use error::{BadMetadata, Error};
