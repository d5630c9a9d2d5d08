// Prose tests of the whole API, in process: one binary, one file per resource.

mod care;
mod cases;
mod cloud_servers;
mod conformance;
mod describe;
mod engine;
mod flavors;
mod floors;
mod headers;
mod house;
mod identity_tokens;
mod image_metadata;
mod limits;
mod network;
mod order;
mod pages;
mod policy;
mod quotas;
mod sample;
mod seeds;
mod server_metadata;
mod stage;
mod storms;
mod table;
mod unsteady;
mod versions;
