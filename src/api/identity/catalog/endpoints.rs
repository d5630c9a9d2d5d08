//! Endpoints of the catalog: where its services are.

use crate::api::call::Call;
use crate::api::endpoint::{Error, delete, get, patch, post};
use crate::api::identity::body::{self, Inner, shape};
use crate::api::identity::{action, endpoint, filters, found, fresh_id, list, member, next, page, views};
use crate::api::schema::Rule;
use crate::identity::administration as verbs;
use crate::identity::error::Kind;
use crate::json::{Json, Object};
use crate::model::identity::{CatalogEndpoint, Region, Sought};
use crate::store::Tx;
use crate::store::identity_admin::catalog as rows;

const PATH: &str = "/v3/endpoints";
const ONE: &str = "/v3/endpoints/{endpoint_id}";
const KNOWN: &[&str] = &["id", "service_id", "interface", "url", "region", "region_id", "enabled", "name", "links"];

const MEMBERS: Rule = Rule::Properties(&[
    ("enabled", &body::STRICT_BOOLEAN),
    ("interface", &body::INTERFACE),
    ("region_id", &body::REGION_ID),
    ("region", &body::TEXT_OR_NULL),
    ("service_id", &body::TEXT),
    ("url", &body::ENDPOINT_URL),
    ("name", &body::TEXT_OR_NULL),
]);
shape!(NewShape, "endpoint", [MEMBERS, Rule::Required(&["interface", "service_id", "url"])]);
shape!(ChangeShape, "endpoint", [MEMBERS, Rule::MinProperties(1)]);

endpoint!(
    List,
    get(PATH),
    OK,
    [],
    policy::List,
    () => Json,
    list_all,
    "Lists endpoints, perhaps only those of an `interface`, a `service_id` or a `region_id`."
);
endpoint!(
    Create,
    post(PATH),
    CREATED,
    [],
    policy::Create,
    Inner<NewShape> => Json,
    create,
    "Creates an endpoint. Its URL may hold $(public_url)s, $(project_id)s, $(tenant_id)s and $(user_id)s, which every token's \
     catalog fills in."
);
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows an endpoint, with the gaps of its URL as they are.");
endpoint!(Update, patch(ONE), OK, [], policy::Update, Inner<ChangeShape> => Json, update, "Changes an endpoint; where it is disabled no catalog shows it.");
endpoint!(Delete, delete(ONE), NO_CONTENT, [], policy::Delete, () => (), remove, "Deletes an endpoint; catalogs show it no longer.");

fn view(call: &Call, endpoint: CatalogEndpoint) -> Object {
    views::endpoint(endpoint, call.cloud.public_url())
}

fn list_all(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let texts =
        [("interface", "interface"), ("service_id", "service_id"), ("region_id", "region_id"), ("region", "region_id")];
    let found = rows::endpoints(tx, &filters(call, &texts, &["enabled"]), &page)?;
    let next = next(call, &page, "endpoints", found.len(), found.last().map(|endpoint| endpoint.id.as_str()));
    Ok(list(call, "endpoints", found.into_iter().map(|endpoint| view(call, endpoint)).collect(), next))
}

/// The region in a body. A `region`, as clients of old have it, is made where it is new.
fn region<S>(tx: &mut dyn Tx, body: &Inner<S>) -> Result<Option<Option<String>>, Error> {
    if let Some(id) = body.text_or_null("region_id") {
        return Ok(Some(id));
    }
    let Some(name) = body.text_or_null("region") else { return Ok(None) };
    if let Some(id) = &name
        && rows::region(tx, id)?.is_none()
    {
        let region =
            Region { id: id.clone(), description: String::new(), parent_region_id: None, extra: Object::new() };
        rows::put_region(tx, &region)?;
    }
    Ok(Some(name))
}

fn create(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<NewShape>) -> Result<Json, Error> {
    let text = |name| body.text(name).unwrap_or_default().to_owned();
    let endpoint = CatalogEndpoint {
        id: fresh_id(&mut call.moment()),
        service_id: text("service_id"),
        interface: text("interface"),
        url: text("url"),
        region_id: region(tx, body)?.flatten(),
        enabled: body.flag("enabled").unwrap_or(true),
        name: text("name"),
        extra: body.rest(KNOWN, Object::new()),
    };
    verbs::put_endpoint(tx, &endpoint)?;
    Ok(member(call, "endpoints", "endpoint", view(call, endpoint)))
}

fn sought(tx: &mut dyn Tx, call: &Call) -> Result<CatalogEndpoint, Error> {
    let id = call.part("endpoint_id").to_owned();
    let there = rows::endpoint(tx, &id)?;
    found(Sought { found: there, id }, Kind::Endpoint)
}

fn show(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let endpoint = sought(tx, call)?;
    Ok(member(call, "endpoints", "endpoint", view(call, endpoint)))
}

fn update(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<ChangeShape>) -> Result<Json, Error> {
    let before = sought(tx, call)?;
    body.has_id(&before.id)?;
    let text = |name, before: String| body.text(name).map_or(before, str::to_owned);
    let endpoint = CatalogEndpoint {
        service_id: text("service_id", before.service_id),
        interface: text("interface", before.interface),
        url: text("url", before.url),
        region_id: region(tx, body)?.unwrap_or(before.region_id),
        enabled: body.flag("enabled").unwrap_or(before.enabled),
        name: text("name", before.name),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
    };
    verbs::put_endpoint(tx, &endpoint)?;
    Ok(member(call, "endpoints", "endpoint", view(call, endpoint)))
}

fn remove(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<(), Error> {
    let it = sought(tx, call)?;
    Ok(rows::delete_endpoint(tx, &it.id)?)
}

/// keystone/common/policies/endpoint.py.
pub mod policy {
    use super::action;

    const READ: &str = "rule:admin_required or (role:reader and system_scope:all)";

    action!(Get(()), "get_endpoint", READ, SystemOrProject, "Show endpoint details.");
    action!(List(()), "list_endpoints", READ, SystemOrProject, "List endpoints.");
    action!(Create(()), "create_endpoint", "rule:admin_required", SystemOrProject, "Create endpoint.");
    action!(Update(()), "update_endpoint", "rule:admin_required", SystemOrProject, "Update endpoint.");
    action!(Delete(()), "delete_endpoint", "rule:admin_required", SystemOrProject, "Delete endpoint.");
}
