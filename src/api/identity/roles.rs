//! Roles.

use super::body::{self, Inner, shape};
use super::{action, endpoint, filters, found, fresh_id, list, member, next, page, views};
use crate::api::call::Call;
use crate::api::endpoint::{Error, Locate, delete, get, patch, post};
use crate::api::schema::Rule;
use crate::identity::administration as verbs;
use crate::identity::error::{Error as IdentityError, Kind};
use crate::json::{Json, Object};
use crate::model::identity::{Role, Sought};
use crate::policy::Guarded;
use crate::store::Tx;
use crate::store::identity_admin::roles as rows;

const PATH: &str = "/v3/roles";
const ONE: &str = "/v3/roles/{role_id}";
const KNOWN: &[&str] = &["id", "name", "domain_id", "description", "options", "links"];

const MEMBERS: Rule =
    Rule::Properties(&[("name", &body::NAME), ("description", &body::TEXT_OR_NULL), ("domain_id", &body::ID_OR_NULL)]);
shape!(NewShape, "role", [MEMBERS, Rule::Required(&["name"])]);
shape!(ChangeShape, "role", [MEMBERS, Rule::MinProperties(1)]);

endpoint!(
    List,
    get(PATH),
    OK,
    [],
    policy::List,
    () => Json,
    list_all,
    "Lists the roles of no domain, or those of a `domain_id`; perhaps only those of a `name`."
);
endpoint!(Create, post(PATH), CREATED, [409], policy::Create, Inner<NewShape> => Json, create, "Creates a role, of a domain where `domain_id` is given.");
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows a role by its id; by name, list with `name`.");
endpoint!(Update, patch(ONE), OK, [409], policy::Update, Inner<ChangeShape> => Json, update, "Changes a role; whoever has it keeps it.");
endpoint!(
    Delete,
    delete(ONE),
    NO_CONTENT,
    [],
    policy::Delete,
    () => (),
    remove,
    "Deletes a role, and takes it from everybody who has it, at once."
);

fn list_all(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let mut wanted = filters(call, &[("name", "name")], &[]);
    wanted.push(("domain_id", call.query.last("domain_id").unwrap_or_default().into()));
    let found = rows::list(tx, &wanted, &page)?;
    let next = next(call, &page, "roles", found.len(), found.last().map(|role| role.id.as_str()));
    Ok(list(call, "roles", found.into_iter().map(views::role).collect(), next))
}

fn create(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<NewShape>) -> Result<Json, Error> {
    let role = Role {
        id: fresh_id(&mut call.moment()).parse().map_err(|_| Error::Unauthenticated)?,
        domain_id: body.text("domain_id").map(str::to_owned),
        name: body.text("name").unwrap_or_default().trim().to_owned(),
        description: body.text("description").map(str::to_owned),
        extra: body.rest(KNOWN, Object::new()),
    };
    verbs::create_role(tx, &role)?;
    Ok(member(call, "roles", "role", views::role(role)))
}

fn show(_: &mut dyn Tx, sought: Sought<Role>, call: &Call, (): &()) -> Result<Json, Error> {
    Ok(member(call, "roles", "role", views::role(found(sought, Kind::Role)?)))
}

fn update(tx: &mut dyn Tx, sought: Sought<Role>, call: &Call, body: &Inner<ChangeShape>) -> Result<Json, Error> {
    let before = found(sought, Kind::Role)?;
    body.has_id(before.id.as_str())?;
    let domain = before.domain_id.clone().unwrap_or_default();
    body.keeps("domain_id", &domain, "Update of `domain_id` is not allowed.")?;
    let role = Role {
        name: body.text("name").map_or(before.name, |name| name.trim().to_owned()),
        description: body.text_or_null("description").unwrap_or(before.description),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
        domain_id: before.domain_id,
    };
    verbs::update_role(tx, &role)?;
    Ok(member(call, "roles", "role", views::role(role)))
}

fn remove(tx: &mut dyn Tx, sought: Sought<Role>, _: &Call, (): &()) -> Result<(), Error> {
    Ok(rows::delete(tx, found(sought, Kind::Role)?.id.as_str())?)
}

impl Locate for Sought<Role> {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let id = call.part("role_id").to_owned();
        Ok(Guarded::new(Sought { found: rows::get(tx, &id)?, id }))
    }

    fn missing(call: &Call) -> Error {
        IdentityError::NotFound(Kind::Role, call.part("role_id").to_owned()).into()
    }
}

/// keystone/common/policies/role.py.
pub mod policy {
    use super::{Role, Sought, action};

    action!(
        Get(Sought<Role>),
        "get_role",
        "(rule:admin_required or (role:reader and system_scope:all)) or (role:manager and rule:domain_managed_target_role)",
        Any,
        "Show role details."
    );
    action!(
        List(()),
        "list_roles",
        "(rule:admin_required or (role:reader and system_scope:all)) or (role:manager and not domain_id:None)",
        Any,
        "List roles."
    );
    action!(Create(()), "create_role", "rule:admin_required", SystemOrProject, "Create role.");
    action!(Update(Sought<Role>), "update_role", "rule:admin_required", SystemOrProject, "Update role.");
    action!(Delete(Sought<Role>), "delete_role", "rule:admin_required", SystemOrProject, "Delete role.");
}
