//! Projects.

use super::body::{self, Inner, shape};
use super::{action, asks, endpoint, filters, found, fresh_id, linked, list, member, next, page, unlinked_list, views};
use crate::api::call::Call;
use crate::api::endpoint::{Error, Locate, delete, get, patch, post};
use crate::api::schema::Rule;
use crate::identity::administration as verbs;
use crate::identity::callers::default_domain;
use crate::identity::error::{Barred, Error as IdentityError, Kind};
use crate::json::{Json, Object};
use crate::model::identity::{Listing, NewProject, Project, Sought, User};
use crate::model::ids::DomainId;
use crate::policy::Guarded;
use crate::store::Tx;
use crate::store::identity_admin::projects as rows;

const PATH: &str = "/v3/projects";
const ONE: &str = "/v3/projects/{project_id}";
const KNOWN: &[&str] =
    &["id", "name", "domain_id", "description", "enabled", "parent_id", "is_domain", "tags", "options", "links"];

const MEMBERS: Rule = Rule::Properties(&[
    ("description", &body::TEXT_OR_NULL),
    ("domain_id", &body::ID_OR_NULL),
    ("enabled", &body::BOOLEAN),
    ("is_domain", &body::BOOLEAN),
    ("parent_id", &body::ID_OR_NULL),
    ("name", &body::SHORT_NAME),
    ("tags", &body::TAGS),
]);
shape!(NewShape, "project", [MEMBERS, Rule::Required(&["name"])]);
shape!(ChangeShape, "project", [MEMBERS, Rule::MinProperties(1)]);

endpoint!(
    List,
    get(PATH),
    OK,
    [],
    policy::List,
    () => Json,
    list_all,
    "Lists projects, perhaps only those of a `name`, a `domain_id` or a `parent_id`, or `enabled` ones."
);
endpoint!(
    ListOfUser,
    get("/v3/users/{user_id}/projects"),
    OK,
    [],
    policy::ListOfUser,
    () => Json,
    list_of_user,
    "Lists the projects on which a user has a role."
);
endpoint!(
    Create,
    post(PATH),
    CREATED,
    [409],
    policy::Create,
    Inner<NewShape> => Json,
    create,
    "Creates a project in a domain, or below another project."
);
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows a project, with the members that clients have added.");
endpoint!(
    Update,
    patch(ONE),
    OK,
    [409],
    policy::Update,
    Inner<ChangeShape> => Json,
    update,
    "Changes a project. Tokens for a disabled project are not taken."
);
endpoint!(
    Delete,
    delete(ONE),
    NO_CONTENT,
    [],
    policy::Delete,
    () => (),
    remove,
    "Deletes a project with all that is granted on it. There must be no project below it."
);

fn list_all(tx: &mut dyn Tx, listing: Listing, call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let texts = [("name", "name"), ("domain_id", "domain_id"), ("parent_id", "parent_id")];
    let mut wanted = filters(call, &texts, &["enabled"]);
    wanted.extend(listing.domain_id.as_ref().map(|id| ("domain_id", id.as_str().into())));
    // domains are not among the projects here
    let found = if asks(call, "is_domain") { Vec::new() } else { rows::list(tx, &wanted, &page)? };
    let next = next(call, &page, "projects", found.len(), found.last().map(|project| project.id.as_str()));
    Ok(list(call, "projects", found.into_iter().map(views::project).collect(), next))
}

fn list_of_user(tx: &mut dyn Tx, sought: Sought<User>, call: &Call, (): &()) -> Result<Json, Error> {
    let user = found(sought, Kind::User)?;
    let mut found = rows::of_user(tx, user.id.as_str())?;
    let (domain, name) = (call.query.last("domain_id"), call.query.last("name"));
    let enabled = call.query.last("enabled").map(body::is_true);
    found.retain(|project| {
        domain.is_none_or(|domain| project.domain_id.as_str() == domain)
            && name.is_none_or(|name| project.name == name)
            && enabled.is_none_or(|enabled| project.enabled == enabled)
    });
    let members = found.into_iter().map(|project| linked(call, "projects", views::project(project))).collect();
    Ok(unlinked_list(call, &format!("users/{}/projects", user.id), "projects", members, None))
}

fn create(tx: &mut dyn Tx, _: NewProject, call: &Call, body: &Inner<NewShape>) -> Result<Json, Error> {
    if body.flag("is_domain") == Some(true) {
        return Err(IdentityError::Senseless("A project that acts as a domain is made as a domain.").into());
    }
    let parent_id = body.text("parent_id").filter(|id| !id.is_empty());
    let domain_id = domain_of_new(tx, call, body.text("domain_id"), parent_id)?;
    let id = fresh_id(&mut call.moment());
    let project = Project {
        id: id.parse().map_err(|_| Error::Unauthenticated)?,
        name: body.text("name").unwrap_or_default().trim().to_owned(),
        description: body.text("description").unwrap_or_default().to_owned(),
        enabled: body.flag("enabled").unwrap_or(true),
        parent_id: parent_id.unwrap_or(domain_id.as_str()).to_owned(),
        tags: tags(body.get("tags")),
        extra: body.rest(KNOWN, Object::new()),
        domain_id,
    };
    verbs::create_project(tx, &project)?;
    Ok(member(call, "projects", "project", views::project(project)))
}

/// The domain in the request, or that of the parent, or that of the token, or the default one.
fn domain_of_new(
    tx: &mut dyn Tx,
    call: &Call,
    asked: Option<&str>,
    parent_id: Option<&str>,
) -> Result<DomainId, Error> {
    if let Some(asked) = asked.filter(|id| !id.is_empty()) {
        return asked.parse().map_err(|_| IdentityError::NotFoundInBody(Kind::Domain, asked.to_owned()).into());
    }
    let parent = parent_id.map(|id| rows::get(tx, id)).transpose()?.flatten();
    match parent {
        Some(parent) => Ok(parent.domain_id),
        None => Ok(call.who()?.domain_id.clone().unwrap_or_else(default_domain)),
    }
}

fn tags(tags: Option<&Json>) -> Vec<String> {
    tags.and_then(Json::as_array).unwrap_or_default().iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn show(_: &mut dyn Tx, sought: Sought<Project>, call: &Call, (): &()) -> Result<Json, Error> {
    Ok(member(call, "projects", "project", views::project(found(sought, Kind::Project)?)))
}

fn update(tx: &mut dyn Tx, sought: Sought<Project>, call: &Call, body: &Inner<ChangeShape>) -> Result<Json, Error> {
    let before = found(sought, Kind::Project)?;
    body.has_id(before.id.as_str())?;
    body.keeps("domain_id", before.domain_id.as_str(), "Cannot change Domain ID")?;
    if body.text("parent_id").is_some_and(|parent| parent != before.parent_id) {
        return Err(IdentityError::Forbidden(Barred::ParentMoves).into());
    }
    if body.flag("is_domain") == Some(true) {
        return Err(IdentityError::Senseless("Update of `is_domain` is not allowed.").into());
    }
    let project = Project {
        name: body.text("name").map_or(before.name, |name| name.trim().to_owned()),
        description: body.text_or_null("description").map_or(before.description, Option::unwrap_or_default),
        enabled: body.flag("enabled").unwrap_or(before.enabled),
        tags: body.get("tags").map_or(before.tags, |given| tags(Some(given))),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
        domain_id: before.domain_id,
        parent_id: before.parent_id,
    };
    verbs::update_project(tx, &project)?;
    Ok(member(call, "projects", "project", views::project(project)))
}

fn remove(tx: &mut dyn Tx, sought: Sought<Project>, _: &Call, (): &()) -> Result<(), Error> {
    Ok(verbs::delete_project(tx, found(sought, Kind::Project)?.id.as_str())?)
}

impl Locate for Sought<Project> {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let id = call.part("project_id").to_owned();
        Ok(Guarded::new(Sought { found: rows::get(tx, &id)?, id }))
    }

    fn missing(call: &Call) -> Error {
        IdentityError::NotFound(Kind::Project, call.part("project_id").to_owned()).into()
    }
}

impl Locate for NewProject {
    fn locate(_: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let domain_id = call.body.get("project").and_then(|project| project.get("domain_id")).and_then(Json::as_str);
        Ok(Guarded::new(NewProject { domain_id: domain_id.map(str::to_owned) }))
    }

    fn missing(_: &Call) -> Error {
        Error::Unauthenticated
    }
}

/// keystone/common/policies/project.py.
pub mod policy {
    use super::{Listing, NewProject, Project, Sought, User, action};

    action!(
        Get(Sought<Project>),
        "get_project",
        "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.project.domain_id)s and \
         not None:%(target.project.domain_id)s) or project_id:%(target.project.id)s",
        Any,
        "Show project details."
    );
    action!(
        List(Listing),
        "list_projects",
        "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)",
        Any,
        "List projects."
    );
    action!(
        ListOfUser(Sought<User>),
        "list_user_projects",
        "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.user.domain_id)s) or \
         user_id:%(target.user.id)s",
        Any,
        "List projects for user."
    );
    action!(
        Create(NewProject),
        "create_project",
        "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)",
        Any,
        "Create project."
    );
    action!(
        Update(Sought<Project>),
        "update_project",
        "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)",
        Any,
        "Update project."
    );
    action!(
        Delete(Sought<Project>),
        "delete_project",
        "(rule:admin_required) or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)",
        Any,
        "Delete project."
    );
}
