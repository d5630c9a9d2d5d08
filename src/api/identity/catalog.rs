//! Services, endpoints and regions, for those who administer the catalog.

pub mod endpoints;
pub mod regions;
pub mod services;
