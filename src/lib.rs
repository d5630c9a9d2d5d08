//! Kilonova: the OpenStack Compute API as one fast binary.

pub mod api;
