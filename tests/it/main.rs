// Prose tests of the whole API, in process: one binary, one file per resource.

mod conformance;
mod engine;
mod flavors;
mod floors;
mod house;
mod image_metadata;
mod pages;
mod policy;
mod server_metadata;
mod stage;
mod table;
mod unsteady;
mod versions;
