//! The SQL of services, endpoints and regions, for those who administer the catalog.

use super::{Page, changed, extra, extra_text, listed, owned};
use crate::model::identity::{CatalogEndpoint, Region, Service};
use crate::store::{Row, StoreError, Tx, Value};

const SERVICES: &str = "SELECT id, type, name, description, enabled, extra FROM services";
const ENDPOINTS: &str = "SELECT id, service_id, interface, url, region_id, enabled, name, extra FROM endpoints";
const REGIONS: &str = "SELECT id, description, parent_region_id, extra FROM regions";

/// What narrows a list: columns and their values.
pub type Filters<'a> = [(&'static str, Value<'a>)];

fn service_made(row: &dyn Row) -> Result<Service, StoreError> {
    Ok(Service {
        id: row.text(0)?.to_owned(),
        service_type: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        description: row.text(3)?.to_owned(),
        enabled: row.flag(4)?,
        extra: extra(row, 5)?,
    })
}

fn endpoint_made(row: &dyn Row) -> Result<CatalogEndpoint, StoreError> {
    Ok(CatalogEndpoint {
        id: row.text(0)?.to_owned(),
        service_id: row.text(1)?.to_owned(),
        interface: row.text(2)?.to_owned(),
        url: row.text(3)?.to_owned(),
        region_id: owned(row, 4)?,
        enabled: row.flag(5)?,
        name: row.text(6)?.to_owned(),
        extra: extra(row, 7)?,
    })
}

fn region_made(row: &dyn Row) -> Result<Region, StoreError> {
    Ok(Region {
        id: row.text(0)?.to_owned(),
        description: row.text(1)?.to_owned(),
        parent_region_id: owned(row, 2)?,
        extra: extra(row, 3)?,
    })
}

/// One service.
///
/// # Errors
/// The engine's.
pub fn service(tx: &mut dyn Tx, id: &str) -> Result<Option<Service>, StoreError> {
    tx.first(&format!("{SERVICES} WHERE id = $1"), &[id.into()], service_made)
}

/// The services that fit all filters.
///
/// # Errors
/// The engine's.
pub fn services(tx: &mut dyn Tx, filters: &Filters<'_>, page: &Page) -> Result<Vec<Service>, StoreError> {
    listed(tx, SERVICES, filters, page, service_made)
}

/// Adds a service, or writes it anew.
///
/// # Errors
/// The engine's.
pub fn put_service(tx: &mut dyn Tx, service: &Service) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO services (id, type, name, description, enabled, extra) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO UPDATE SET type = excluded.type, name = excluded.name, description = excluded.description, \
         enabled = excluded.enabled, extra = excluded.extra",
        &[
            (&service.id).into(),
            (&service.service_type).into(),
            (&service.name).into(),
            (&service.description).into(),
            service.enabled.into(),
            extra_text(&service.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes a service with its endpoints.
///
/// # Errors
/// The engine's.
pub fn delete_service(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM endpoints WHERE service_id = $1", &[id.into()])?;
    tx.execute("DELETE FROM services WHERE id = $1", &[id.into()])?;
    changed(tx);
    Ok(())
}

/// One endpoint.
///
/// # Errors
/// The engine's.
pub fn endpoint(tx: &mut dyn Tx, id: &str) -> Result<Option<CatalogEndpoint>, StoreError> {
    tx.first(&format!("{ENDPOINTS} WHERE id = $1"), &[id.into()], endpoint_made)
}

/// The endpoints that fit all filters.
///
/// # Errors
/// The engine's.
pub fn endpoints(tx: &mut dyn Tx, filters: &Filters<'_>, page: &Page) -> Result<Vec<CatalogEndpoint>, StoreError> {
    listed(tx, ENDPOINTS, filters, page, endpoint_made)
}

/// Adds an endpoint, or writes it anew.
///
/// # Errors
/// The engine's.
pub fn put_endpoint(tx: &mut dyn Tx, endpoint: &CatalogEndpoint) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO endpoints (id, service_id, interface, url, region_id, enabled, name, extra) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (id) DO UPDATE SET service_id = excluded.service_id, interface = excluded.interface, url = excluded.url, \
         region_id = excluded.region_id, enabled = excluded.enabled, name = excluded.name, extra = excluded.extra",
        &[
            (&endpoint.id).into(),
            (&endpoint.service_id).into(),
            (&endpoint.interface).into(),
            (&endpoint.url).into(),
            endpoint.region_id.as_deref().into(),
            endpoint.enabled.into(),
            (&endpoint.name).into(),
            extra_text(&endpoint.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes an endpoint.
///
/// # Errors
/// The engine's.
pub fn delete_endpoint(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM endpoints WHERE id = $1", &[id.into()])?;
    changed(tx);
    Ok(())
}

/// One region.
///
/// # Errors
/// The engine's.
pub fn region(tx: &mut dyn Tx, id: &str) -> Result<Option<Region>, StoreError> {
    tx.first(&format!("{REGIONS} WHERE id = $1"), &[id.into()], region_made)
}

/// The regions that fit all filters.
///
/// # Errors
/// The engine's.
pub fn regions(tx: &mut dyn Tx, filters: &Filters<'_>, page: &Page) -> Result<Vec<Region>, StoreError> {
    listed(tx, REGIONS, filters, page, region_made)
}

/// Adds a region, or writes it anew.
///
/// # Errors
/// The engine's.
pub fn put_region(tx: &mut dyn Tx, region: &Region) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO regions (id, description, parent_region_id, extra) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET description = excluded.description, parent_region_id = excluded.parent_region_id, \
         extra = excluded.extra",
        &[
            (&region.id).into(),
            (&region.description).into(),
            region.parent_region_id.as_deref().into(),
            extra_text(&region.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// The ids of a region and of all inside it.
///
/// # Errors
/// The engine's.
pub fn region_with_children(tx: &mut dyn Tx, id: &str) -> Result<Vec<String>, StoreError> {
    tx.all(
        "WITH RECURSIVE inside (id) AS ( \
           SELECT id FROM regions WHERE id = $1 \
           UNION SELECT regions.id FROM regions JOIN inside ON regions.parent_region_id = inside.id) \
         SELECT id FROM inside ORDER BY id",
        &[id.into()],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// Deletes one region.
///
/// # Errors
/// The engine's.
pub fn delete_region(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM regions WHERE id = $1", &[id.into()])?;
    changed(tx);
    Ok(())
}
