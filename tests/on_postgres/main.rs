//! The tests of `it` once more, on PostgreSQL.

include!("../it/rooms.rs");
