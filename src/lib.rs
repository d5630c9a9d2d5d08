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

/// Memory for every program that is made of this one. A request makes and frees many small things, some of them on another
/// thread than they were made on: with the system's allocator that was nearly a quarter of its instructions (docs/performance.md). Without
/// huge pages, which took 10 MiB more for a server that has nothing to do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
