//! Services of the catalog.

use crate::api::call::Call;
use crate::api::endpoint::{Error, delete, get, patch, post};
use crate::api::identity::body::{self, Inner, shape};
use crate::api::identity::{action, endpoint, filters, found, fresh_id, list, member, next, page, views};
use crate::api::schema::Rule;
use crate::identity::error::Kind;
use crate::json::{Json, Object};
use crate::model::identity::{Service, Sought};
use crate::store::identity_admin::catalog as rows;
use crate::store::{StoreError, Tx};

const PATH: &str = "/v3/services";
const ONE: &str = "/v3/services/{service_id}";
const KNOWN: &[&str] = &["id", "type", "name", "description", "enabled", "links"];

const MEMBERS: Rule =
    Rule::Properties(&[("enabled", &body::STRICT_BOOLEAN), ("type", &body::NAME), ("name", &body::NAME)]);
shape!(NewShape, "service", [MEMBERS, Rule::Required(&["type"])]);
shape!(ChangeShape, "service", [MEMBERS, Rule::MinProperties(1)]);

endpoint!(List, get(PATH), OK, [], policy::List, () => Json, list_all, "Lists services, perhaps only those of a `name` or a `type`.");
endpoint!(Create, post(PATH), CREATED, [], policy::Create, Inner<NewShape> => Json, create, "Creates a service, as yet without endpoints.");
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows a service, without its endpoints.");
endpoint!(Update, patch(ONE), OK, [], policy::Update, Inner<ChangeShape> => Json, update, "Changes a service; where it is disabled no catalog shows it.");
endpoint!(Delete, delete(ONE), NO_CONTENT, [], policy::Delete, () => (), remove, "Deletes a service with its endpoints.");

fn list_all(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let found = rows::services(tx, &filters(call, &[("name", "name"), ("type", "type")], &[]), &page)?;
    let next = next(call, &page, "services", found.len(), found.last().map(|service| service.id.as_str()));
    Ok(list(call, "services", found.into_iter().map(views::service).collect(), next))
}

fn create(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<NewShape>) -> Result<Json, Error> {
    let text = |name| body.text(name).unwrap_or_default().to_owned();
    let service = Service {
        id: fresh_id(&mut call.moment()),
        service_type: text("type"),
        name: text("name"),
        description: text("description"),
        enabled: body.flag("enabled").unwrap_or(true),
        extra: body.rest(KNOWN, Object::new()),
    };
    rows::put_service(tx, &service)?;
    Ok(member(call, "services", "service", views::service(service)))
}

fn sought(tx: &mut dyn Tx, call: &Call) -> Result<Service, Error> {
    let id = call.part("service_id").to_owned();
    let there: Result<_, StoreError> = rows::service(tx, &id);
    found(Sought { found: there?, id }, Kind::Service)
}

fn show(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    Ok(member(call, "services", "service", views::service(sought(tx, call)?)))
}

fn update(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<ChangeShape>) -> Result<Json, Error> {
    let before = sought(tx, call)?;
    body.has_id(&before.id)?;
    let text = |name, before: String| body.text_or_null(name).map_or(before, Option::unwrap_or_default);
    let service = Service {
        service_type: text("type", before.service_type),
        name: text("name", before.name),
        description: text("description", before.description),
        enabled: body.flag("enabled").unwrap_or(before.enabled),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
    };
    rows::put_service(tx, &service)?;
    Ok(member(call, "services", "service", views::service(service)))
}

fn remove(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<(), Error> {
    let it = sought(tx, call)?;
    Ok(rows::delete_service(tx, &it.id)?)
}

/// keystone/common/policies/service.py.
pub mod policy {
    use super::action;

    const READ: &str = "rule:admin_required or (role:reader and system_scope:all)";

    action!(Get(()), "get_service", READ, SystemOrProject, "Show service details.");
    action!(List(()), "list_services", READ, SystemOrProject, "List services.");
    action!(Create(()), "create_service", "rule:admin_required", SystemOrProject, "Create service.");
    action!(Update(()), "update_service", "rule:admin_required", SystemOrProject, "Update service.");
    action!(Delete(()), "delete_service", "rule:admin_required", SystemOrProject, "Delete service.");
}
