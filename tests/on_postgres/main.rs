//! The tests of `it` once more, on PostgreSQL; and what there is on PostgreSQL only.

include!("../it/rooms.rs");

// the program that puts the server under fire uses the rest of it
#[allow(dead_code)]
#[path = "../../benches/fire/cluster.rs"]
mod cluster;
mod connections;
mod encryption;
mod failing;
mod proxy;
mod turns;
