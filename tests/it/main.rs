//! Prose tests of the whole API, in process: one binary, one file per resource, on the embedded database.

include!("rooms.rs");
