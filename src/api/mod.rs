//! The doors: everything a client can ask.

pub mod message;
