//! Quota classes: limits for everybody who has none of their own. Only the class `default` is ever applied.

use super::quota_sets::{is_gone, limits, limits_body};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, Takes, get, put};
use crate::api::fault::Fault;
use crate::api::schema::Schema;
use crate::api::version::Microversion;
use crate::compute::quota_sets;
use crate::json::{Json, Object};
use crate::json_object;
use crate::policy::Allowed;
use crate::store::Tx;

const ITEM: &str = "/os-quota-class-sets/{class}";

/// Shows a class.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(ITEM);
    const DOC: &'static str =
        "Shows the limits of a quota class; those of `default` apply to every project that has none of its own.";
    type Action = policy::Show;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Show>, call: &Call, (): &()) -> Result<Json, Error> {
        class_set(tx, call, json_object! { "id": call.part("class") })
    }
}

/// Sets limits of a class.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = put(ITEM);
    const DOC: &'static str = "Sets limits of a quota class; -1 is any number.";
    type Action = policy::Update;
    type Takes = NewLimits;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Update>, call: &Call, body: &NewLimits) -> Result<Json, Error> {
        let class = call.part("class");
        let characters = class.chars().count();
        if characters > 255 {
            return Err(Fault::bad_request(format!(
                "Invalid input received: quota_class_name has {characters} characters, more than 255."
            ))
            .into());
        }
        quota_sets::set_class(tx, class, &body.0)?;
        class_set(tx, call, Object::new())
    }
}

/// Up to 2.49 those of server groups were left out, from then on those of networks are.
fn class_set(tx: &mut dyn Tx, call: &Call, mut set: Object) -> Result<Json, Error> {
    for (resource, limit) in quota_sets::of_class(tx, &call.quota_defaults(), call.part("class"))? {
        let is_new = call.version < Microversion(50) && resource.starts_with("server_group");
        if !is_new && !is_gone(resource, call.version, 50) {
            set.insert(resource, limit);
        }
    }
    Ok(json_object! { "quota_class_set": set }.into())
}

/// `{"quota_class_set": {…}}`.
pub struct NewLimits(Vec<(String, i64)>);

impl Takes for NewLimits {
    fn schema(version: Microversion) -> Option<&'static Schema> {
        Some(match version {
            version if version < Microversion(50) => &UPDATE,
            version if version < Microversion(57) => &UPDATE_2_50,
            _ => &UPDATE_2_57,
        })
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        Ok(NewLimits(limits(call.body.get("quota_class_set").unwrap_or(&Json::Null))))
    }
}

static UPDATE: Schema = limits_body!(
    "quota_class_set",
    [
        "instances",
        "cores",
        "ram",
        "floating_ips",
        "fixed_ips",
        "metadata_items",
        "key_pairs",
        "security_groups",
        "security_group_rules",
        "injected_files",
        "injected_file_content_bytes",
        "injected_file_path_bytes",
        "server_groups",
        "server_group_members"
    ]
);
static UPDATE_2_50: Schema = limits_body!(
    "quota_class_set",
    [
        "instances",
        "cores",
        "ram",
        "metadata_items",
        "key_pairs",
        "injected_files",
        "injected_file_content_bytes",
        "injected_file_path_bytes",
        "server_groups",
        "server_group_members"
    ]
);
static UPDATE_2_57: Schema = limits_body!(
    "quota_class_set",
    ["instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members"]
);

/// The rules (nova/policies/quota_class_sets.py).
pub mod policy {
    use crate::policy::Action;

    /// Showing a class.
    pub struct Show;

    impl Action for Show {
        const RULE: &'static str = "os_compute_api:os-quota-class-sets:show";
        const DEFAULT: &'static str = "rule:context_is_admin";
        const DOC: &'static str = "List quotas for specific quota classes";
        type Target = ();
    }

    /// Setting limits of a class.
    pub struct Update;

    impl Action for Update {
        const RULE: &'static str = "os_compute_api:os-quota-class-sets:update";
        const DEFAULT: &'static str = "rule:context_is_admin";
        const DOC: &'static str = "Update quotas for specific quota class";
        type Target = ();
    }
}
