// Prose tests of the whole API, in process: one binary, one file per resource.

mod engine;
mod house;
mod server_metadata;
mod versions;
