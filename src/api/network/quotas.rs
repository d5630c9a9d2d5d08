//! Quotas of Network. Nothing can be made here, so a project may have what it has: its default security group with its rules.

use super::shown;
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, get};
use crate::json::{Json, Object};
use crate::policy::Allowed;
use crate::store::Tx;

const LIMITS: [(&str, i64); 9] = [
    ("network", 0),
    ("subnet", 0),
    ("subnetpool", 0),
    ("port", 0),
    ("router", 0),
    ("floatingip", 0),
    ("rbac_policy", 0),
    ("security_group", 1),
    ("security_group_rule", 4),
];

fn limits() -> Object {
    LIMITS.into_iter().collect()
}

/// Shows the limits of a project.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get("/v2.0/quotas/{project_id}");
    const DOC: &'static str =
        "Shows how much of Network a project may have: its default security group, and nothing else.";
    type Action = policy::Get;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<policy::Get>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(shown(call, "quota", limits()))
    }
}

/// Shows the limits of any project.
pub struct Defaults;

impl Endpoint for Defaults {
    const ROUTE: Route = get("/v2.0/quotas/{project_id}/default");
    const DOC: &'static str = "Shows how much of Network a project may have by default: the same for all.";
    type Action = policy::Get;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<policy::Get>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(shown(call, "quota", limits()))
    }
}

/// The rule (neutron/conf/policies/quotas.py), asked about the project of the URL.
pub mod policy {
    use crate::policy::Action;
    use crate::policy::targets::Scope;

    /// Showing limits.
    pub struct Get;

    impl Action for Get {
        const RULE: &'static str = "get_quota";
        const DEFAULT: &'static str = "rule:project_reader_or_admin";
        const DEPRECATED: Option<&'static str> = Some("rule:admin_or_owner");
        const DOC: &'static str = "Show the Network quota of a project";
        type Target = Scope;
    }
}
