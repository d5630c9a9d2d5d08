//! Kilonova: the OpenStack Compute API as one fast binary. `ARCHITECTURE.md` shows the house.

pub mod api;
pub mod backlog;
pub mod blobs;
pub mod cli;
pub mod cloud;
pub mod compute;
pub mod config;
pub mod hypervisor;
pub mod identity;
pub mod image;
pub mod json;
pub mod logs;
pub mod model;
pub mod policy;
pub mod serve;
pub mod store;
