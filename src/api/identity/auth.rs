//! What the bearer of a token may scope to, and the catalog of their token.

use super::views;
use super::{action, document, link, unlinked_list};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Route, get};
use crate::identity::Error as IdentityError;
use crate::identity::error::Barred;
use crate::identity::standing;
use crate::json::Json;
use crate::json_object;
use crate::policy::Allowed;
use crate::store::Tx;
use crate::store::identity_admin::{domains, grants, projects};

/// Shows the catalog.
pub struct Catalog;

impl Endpoint for Catalog {
    const ROUTE: Route = get("/v3/auth/catalog");
    const DOC: &'static str = "Shows the catalog: every service and where it is. The token must be for a project.";
    const QUERY: QueryRule = QueryRule::Own;
    type Action = policy::GetCatalog;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::GetCatalog>, call: &Call, (): &()) -> Result<Json, Error> {
        if call.who()?.project_id.is_none() {
            return Err(IdentityError::Forbidden(Barred::NeedsProject).into());
        }
        let text = call.token().unwrap_or_default();
        let token = call.cloud.keys.open(text, call.now.seconds()).map_err(|_| Error::Unauthenticated)?;
        let standing = standing::standing(tx, &token)?.ok_or(Error::Unauthenticated)?;
        let services = document::services(tx, call, &standing)?;
        Ok(json_object! { "catalog": services, "links": json_object! { "self": link(call, "/auth/catalog") } }.into())
    }
}

/// Lists projects.
pub struct Projects;

impl Endpoint for Projects {
    const ROUTE: Route = get("/v3/auth/projects");
    const DOC: &'static str = "Lists the projects that the bearer of the token may scope to.";
    const QUERY: QueryRule = QueryRule::Own;
    type Action = policy::GetProjects;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::GetProjects>, call: &Call, (): &()) -> Result<Json, Error> {
        let found = projects::of_user(tx, call.who()?.user_id.as_str())?;
        let members = found.into_iter().map(|project| super::linked(call, "projects", views::project(project)));
        Ok(unlinked_list(call, "auth/projects", "projects", members.collect(), None))
    }
}

/// Lists domains.
pub struct Domains;

impl Endpoint for Domains {
    const ROUTE: Route = get("/v3/auth/domains");
    const DOC: &'static str = "Lists the domains that the bearer of the token may scope to.";
    const QUERY: QueryRule = QueryRule::Own;
    type Action = policy::GetDomains;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::GetDomains>, call: &Call, (): &()) -> Result<Json, Error> {
        let found = domains::of_user(tx, call.who()?.user_id.as_str())?;
        let members = found.into_iter().map(|domain| super::linked(call, "domains", views::domain(domain)));
        Ok(unlinked_list(call, "auth/domains", "domains", members.collect(), None))
    }
}

/// Says whether the system is among the scopes.
pub struct System;

impl Endpoint for System {
    const ROUTE: Route = get("/v3/auth/system");
    const DOC: &'static str = "Says whether the bearer of the token may scope to the system.";
    const QUERY: QueryRule = QueryRule::Own;
    type Action = policy::GetSystem;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::GetSystem>, call: &Call, (): &()) -> Result<Json, Error> {
        let granted = !grants::roles(tx, call.who()?.user_id.as_str(), "system", "all")?.is_empty();
        let system: Json = granted.then(|| json_object! { "all": true }).into_iter().collect();
        Ok(json_object! { "system": system, "links": json_object! { "self": link(call, "/auth/system") } }.into())
    }
}

/// Everybody with a token may (keystone/common/policies/auth.py).
pub mod policy {
    use super::action;

    action!(GetCatalog(()), "get_auth_catalog", "", Any, "Get service catalog.");
    action!(
        GetProjects(()),
        "get_auth_projects",
        "",
        Any,
        "List all projects a user has access to via role assignments."
    );
    action!(GetDomains(()), "get_auth_domains", "", Any, "List all domains a user has access to via role assignments.");
    action!(GetSystem(()), "get_auth_system", "", Any, "List systems a user has access to via role assignments.");
}
