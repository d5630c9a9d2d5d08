//! Which projects may use a private flavor.

use super::{ONE, flavor, policy};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Route, Takes, action, get};
use crate::api::schema::{Rule, Schema, Type};
use crate::api::version::Microversion;
use crate::compute::flavors::{self, FlavorError};
use crate::compute::{Error as ComputeError, quota_sets};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::flavor::Flavor;
use crate::model::ids::ProjectId;
use crate::policy::Allowed;
use crate::store::Tx;

const ACTION: &str = "/flavors/{flavor_id}/action";

/// Lists who has access.
pub struct Index;

impl Endpoint for Index {
    const ROUTE: Route = get("/flavors/{flavor_id}/os-flavor-access");
    const QUERY: QueryRule = ONE;
    const DOC: &'static str =
        "Lists the projects that were given access to a private flavor. A public one has no such list.";
    type Action = policy::IndexAccess;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::IndexAccess>, call: &Call, (): &()) -> Result<Json, Error> {
        let flavor = flavor(tx, call)?;
        Ok(listed(&flavor, flavors::access_list(&flavor)?))
    }
}

/// Gives a project access.
pub struct Add;

impl Endpoint for Add {
    const ROUTE: Route = action(ACTION, "addTenantAccess");
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Gives a project access to a private flavor; from 2.7 on a public one is refused.";
    type Action = policy::AddAccess;
    type Takes = Tenant;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::AddAccess>, call: &Call, body: &Tenant) -> Result<Json, Error> {
        let project = body.project(tx)?;
        let flavor = flavor(tx, call)?;
        if flavor.is_public && call.version >= Microversion(7) {
            return Err(ComputeError::from(FlavorError::NoAccessToPublic).into());
        }
        let projects = flavors::give_access(tx, &flavor, &project)?;
        Ok(listed(&flavor, &projects))
    }
}

/// Takes a project's access away.
pub struct Remove;

impl Endpoint for Remove {
    const ROUTE: Route = action(ACTION, "removeTenantAccess");
    const DOC: &'static str = "Takes a project's access to a flavor away, whether or not the project is still there.";
    type Action = policy::RemoveAccess;
    type Takes = LostTenant;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::RemoveAccess>, call: &Call, body: &LostTenant) -> Result<Json, Error> {
        let flavor = flavor(tx, call)?;
        let projects = flavors::take_access(tx, &flavor, &body.0)?;
        Ok(listed(&flavor, &projects))
    }
}

fn listed(flavor: &Flavor, projects: &[ProjectId]) -> Json {
    let id = flavor.flavorid.as_str();
    let entry = |project: &ProjectId| json_object! { "flavor_id": id, "tenant_id": project.as_str() };
    json_object! { "flavor_access": projects.iter().map(entry).collect::<Vec<Object>>() }.into()
}

/// `{"addTenantAccess": {"tenant": …}}`.
pub struct Tenant(String);

impl Tenant {
    fn project(&self, tx: &mut dyn Tx) -> Result<ProjectId, Error> {
        Ok(quota_sets::project(tx, &self.0)?)
    }
}

impl Takes for Tenant {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&ADD)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        Ok(Tenant(tenant(call, "addTenantAccess")))
    }
}

/// `{"removeTenantAccess": {"tenant": …}}`.
pub struct LostTenant(String);

impl Takes for LostTenant {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&REMOVE)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        Ok(LostTenant(tenant(call, "removeTenantAccess")))
    }
}

fn tenant(call: &Call, action: &str) -> String {
    let tenant = call.body.get(action).and_then(|vals| vals.get("tenant"));
    tenant.and_then(Json::as_str).unwrap_or_default().to_owned()
}

macro_rules! body {
    ($action:literal) => {
        Schema::new(&[
            Rule::Type(&[Type::Object]),
            Rule::Properties(&[(
                $action,
                &Schema::new(&[
                    Rule::Type(&[Type::Object]),
                    Rule::Properties(&[(
                        "tenant",
                        &Schema::new(&[Rule::Type(&[Type::String]), Rule::MinLength(1), Rule::MaxLength(255)]),
                    )]),
                    Rule::Required(&["tenant"]),
                    Rule::AdditionalProperties(false),
                ]),
            )]),
            Rule::Required(&[$action]),
            Rule::AdditionalProperties(false),
        ])
    };
}

static ADD: Schema = body!("addTenantAccess");
static REMOVE: Schema = body!("removeTenantAccess");
