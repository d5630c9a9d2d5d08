//! Domains.

use super::body::{self, Inner, shape};
use super::{action, endpoint, filters, found, fresh_id, list, member, next, page, views};
use crate::api::call::Call;
use crate::api::endpoint::{Error, Locate, delete, get, patch, post};
use crate::api::schema::Rule;
use crate::identity::Error as IdentityError;
use crate::identity::administration as verbs;
use crate::identity::error::Kind;
use crate::json::{Json, Object};
use crate::model::identity::{Domain, Listing, Sought};
use crate::policy::Guarded;
use crate::store::Tx;
use crate::store::identity_admin::domains as rows;

const PATH: &str = "/v3/domains";
const ONE: &str = "/v3/domains/{domain_id}";
const KNOWN: &[&str] = &["id", "name", "description", "enabled", "tags", "options", "links"];

const MEMBERS: Rule =
    Rule::Properties(&[("description", &body::TEXT_OR_NULL), ("enabled", &body::BOOLEAN), ("name", &body::SHORT_NAME)]);
shape!(NewShape, "domain", [MEMBERS, Rule::Required(&["name"])]);
shape!(ChangeShape, "domain", [MEMBERS, Rule::MinProperties(1)]);

endpoint!(List, get(PATH), OK, [], policy::List, () => Json, list_all, "Lists domains, perhaps only those of a `name`, or `enabled` ones.");
endpoint!(Create, post(PATH), CREATED, [409], policy::Create, Inner<NewShape> => Json, create, "Creates a domain: a name space of users and projects.");
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows a domain, with the members that clients have added.");
endpoint!(
    Update,
    patch(ONE),
    OK,
    [409],
    policy::Update,
    Inner<ChangeShape> => Json,
    update,
    "Changes a domain. Nobody of a disabled domain can log in or be seen."
);
endpoint!(
    Delete,
    delete(ONE),
    NO_CONTENT,
    [],
    policy::Delete,
    () => (),
    remove,
    "Deletes a domain with its users, projects and roles. It must be disabled first."
);

fn list_all(tx: &mut dyn Tx, listing: Listing, call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let mut wanted = filters(call, &[("name", "name")], &["enabled"]);
    wanted.extend(listing.domain_id.as_ref().map(|id| ("id", id.as_str().into())));
    let found = rows::list(tx, &wanted, &page)?;
    let next = next(call, &page, "domains", found.len(), found.last().map(|domain| domain.id.as_str()));
    Ok(list(call, "domains", found.into_iter().map(views::domain).collect(), next))
}

fn create(tx: &mut dyn Tx, (): (), call: &Call, body: &Inner<NewShape>) -> Result<Json, Error> {
    let id = fresh_id(&mut call.moment());
    let domain = Domain {
        id: id.parse().map_err(|_| Error::Unauthenticated)?,
        name: body.text("name").unwrap_or_default().trim().to_owned(),
        description: body.text("description").unwrap_or_default().to_owned(),
        enabled: body.flag("enabled").unwrap_or(true),
        extra: body.rest(KNOWN, Object::new()),
    };
    verbs::create_domain(tx, &domain)?;
    Ok(member(call, "domains", "domain", views::domain(domain)))
}

fn show(_: &mut dyn Tx, sought: Sought<Domain>, call: &Call, (): &()) -> Result<Json, Error> {
    Ok(member(call, "domains", "domain", views::domain(found(sought, Kind::Domain)?)))
}

fn update(tx: &mut dyn Tx, sought: Sought<Domain>, call: &Call, body: &Inner<ChangeShape>) -> Result<Json, Error> {
    let before = found(sought, Kind::Domain)?;
    body.has_id(before.id.as_str())?;
    let domain = Domain {
        name: body.text("name").map_or(before.name, |name| name.trim().to_owned()),
        description: body.text_or_null("description").map_or(before.description, Option::unwrap_or_default),
        enabled: body.flag("enabled").unwrap_or(before.enabled),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
    };
    verbs::update_domain(tx, &domain)?;
    Ok(member(call, "domains", "domain", views::domain(domain)))
}

fn remove(tx: &mut dyn Tx, sought: Sought<Domain>, _: &Call, (): &()) -> Result<(), Error> {
    Ok(verbs::delete_domain(tx, &found(sought, Kind::Domain)?)?)
}

impl Locate for Sought<Domain> {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let id = call.part("domain_id").to_owned();
        Ok(Guarded::new(Sought { found: rows::get(tx, &id)?, id }))
    }

    fn missing(call: &Call) -> Error {
        IdentityError::NotFound(Kind::Domain, call.part("domain_id").to_owned()).into()
    }
}

impl Locate for Listing {
    fn locate(_: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        Ok(Guarded::new(Listing { domain_id: call.who()?.domain_id.clone() }))
    }

    fn missing(_: &Call) -> Error {
        Error::Unauthenticated
    }
}

/// keystone/common/policies/domain.py.
pub mod policy {
    use super::{Domain, Listing, Sought, action};

    action!(
        Get(Sought<Domain>),
        "get_domain",
        "rule:admin_required or (role:reader and system_scope:all) or token.domain.id:%(target.domain.id)s or \
         token.project.domain.id:%(target.domain.id)s",
        Any,
        "Show domain details."
    );
    action!(
        List(Listing),
        "list_domains",
        "rule:admin_required or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain.id)s)",
        Any,
        "List domains."
    );
    action!(Create(()), "create_domain", "rule:admin_required", SystemOrProject, "Create domain.");
    action!(Update(Sought<Domain>), "update_domain", "rule:admin_required", SystemOrProject, "Update domain.");
    action!(Delete(Sought<Domain>), "delete_domain", "rule:admin_required", SystemOrProject, "Delete domain.");
}
