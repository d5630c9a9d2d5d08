//! The nouns: what servers, flavors and metadata are, and every rule that needs nothing but the values at hand.
//! No I/O, no serialisation, no HTTP, no clock and no randomness: time and random bytes are arguments.

pub mod disk_config;
pub mod flavor;
pub mod identity;
pub mod ids;
pub mod image;
pub mod key_pair;
pub mod metadata;
pub mod moment;
pub mod server;
pub mod server_metadata;
pub mod server_record;
pub mod time;
