//! Regions of the catalog.

use crate::api::call::Call;
use crate::api::endpoint::{Error, delete, get, patch, post, put};
use crate::api::identity::body::{self, Inner, shape};
use crate::api::identity::{action, endpoint, filters, found, fresh_id, list, member, next, page, views};
use crate::api::schema::Rule;
use crate::identity::administration as verbs;
use crate::identity::error::{Error as IdentityError, Kind};
use crate::json::{Json, Object};
use crate::model::identity::{Region, Sought};
use crate::store::Tx;
use crate::store::identity_admin::catalog as rows;

const PATH: &str = "/v3/regions";
const ONE: &str = "/v3/regions/{region_id}";
const KNOWN: &[&str] = &["id", "description", "parent_region_id", "links"];

const MEMBERS: Rule = Rule::Properties(&[
    ("description", &body::TEXT_OR_NULL),
    ("parent_region_id", &body::REGION_ID),
    ("id", &body::REGION_ID),
]);
shape!(NewShape, "region", [MEMBERS]);
shape!(ChangeShape, "region", [MEMBERS, Rule::MinProperties(1)]);

endpoint!(List, get(PATH), OK, [], policy::List, () => Json, list_all, "Lists regions, perhaps only those of a `parent_region_id`.");
endpoint!(Create, post(PATH), CREATED, [409], policy::Create, Inner<NewShape> => Json, create, "Creates a region, with an id of its own or a fresh one.");
endpoint!(Put, put(ONE), CREATED, [409], policy::Create, Inner<NewShape> => Json, create, "Creates a region of this id.");
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows a region and the one around it.");
endpoint!(Update, patch(ONE), OK, [], policy::Update, Inner<ChangeShape> => Json, update, "Changes a region: what it is for, and which one is around it.");
endpoint!(Delete, delete(ONE), NO_CONTENT, [], policy::Delete, () => (), remove, "Deletes a region with those inside it. None of them may have endpoints.");

fn list_all(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let found = rows::regions(tx, &filters(call, &[("parent_region_id", "parent_region_id")], &[]), &page)?;
    let next = next(call, &page, "regions", found.len(), found.last().map(|region| region.id.as_str()));
    Ok(list(call, "regions", found.into_iter().map(views::region).collect(), next))
}

fn create(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<NewShape>) -> Result<Json, Error> {
    let (in_path, in_body) = (call.part("region_id"), body.text("id").unwrap_or_default());
    if !in_path.is_empty() && !in_body.is_empty() && in_path != in_body {
        return Err(IdentityError::Senseless(
            "Conflicting region IDs specified: the id in the body must be that in the URL.",
        )
        .into());
    }
    let id = [in_path, in_body].into_iter().find(|id| !id.is_empty()).map(str::to_owned);
    let region = Region {
        id: id.unwrap_or_else(|| fresh_id(&mut call.moment())),
        description: body.text("description").unwrap_or_default().to_owned(),
        parent_region_id: body.text("parent_region_id").filter(|id| !id.is_empty()).map(str::to_owned),
        extra: body.rest(KNOWN, Object::new()),
    };
    verbs::create_region(tx, &region)?;
    Ok(member(call, "regions", "region", views::region(region)))
}

fn sought(tx: &mut dyn Tx, call: &Call) -> Result<Region, Error> {
    let id = call.part("region_id").to_owned();
    let there = rows::region(tx, &id)?;
    found(Sought { found: there, id }, Kind::Region)
}

fn show(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    Ok(member(call, "regions", "region", views::region(sought(tx, call)?)))
}

fn update(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<ChangeShape>) -> Result<Json, Error> {
    let before = sought(tx, call)?;
    body.has_id(&before.id)?;
    let region = Region {
        description: body.text_or_null("description").map_or(before.description, Option::unwrap_or_default),
        parent_region_id: body.text_or_null("parent_region_id").unwrap_or(before.parent_region_id),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
    };
    verbs::update_region(tx, &region)?;
    Ok(member(call, "regions", "region", views::region(region)))
}

fn remove(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<(), Error> {
    let region = sought(tx, call)?;
    Ok(verbs::delete_region(tx, &region.id)?)
}

/// keystone/common/policies/region.py.
pub mod policy {
    use super::action;

    action!(Get(()), "get_region", "", Any, "Show region details.");
    action!(List(()), "list_regions", "", Any, "List regions.");
    action!(Create(()), "create_region", "rule:admin_required", SystemOrProject, "Create region.");
    action!(Update(()), "update_region", "rule:admin_required", SystemOrProject, "Update region.");
    action!(Delete(()), "delete_region", "rule:admin_required", SystemOrProject, "Delete region.");
}
