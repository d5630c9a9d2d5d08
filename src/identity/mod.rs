//! Who is asking: tokens and passwords, projects, users, roles. The leaves (`password`, `random`, `secret`, `token`, `token_keys`) know no store
//! and no HTTP.

pub mod administration;
pub mod bootstrap;
pub mod callers;
pub mod catalog;
pub mod error;
pub mod live_keys;
pub mod login;
pub mod owned;
pub mod password;
pub mod random;
pub mod secret;
pub mod standing;
pub mod token;
pub mod token_keys;

pub use callers::NoCaller;
pub use error::Error;
