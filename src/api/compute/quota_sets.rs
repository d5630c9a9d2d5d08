//! Quota sets: what a project, or one of its users, may have at most.

use http::StatusCode;

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Route, Takes, delete, get, put};
use crate::api::schema::{self, Schema, Type, parameter_types, pattern};
use crate::api::version::Microversion;
use crate::compute::quota_sets::{self, Holder, Quota, RESOURCES};
use crate::json::{Json, Object, python};
use crate::json_object;
use crate::model::ids::UserId;
use crate::policy::Allowed;
use crate::store::{Tx, quotas};

const ITEM: &str = "/os-quota-sets/{project_id}";

/// The resources of nova-network.
const NETWORKING: [&str; 4] = ["fixed_ips", "floating_ips", "security_group_rules", "security_groups"];
/// The resources of injected files.
const INJECTED: [&str; 3] = ["injected_files", "injected_file_content_bytes", "injected_file_path_bytes"];

/// Whether quotas from this version on leave a resource out: those of networks from `2.36` (classes: 2.50), of files from 2.57 on.
pub fn is_gone(resource: &str, version: Microversion, networking_until: u16) -> bool {
    (version >= Microversion(networking_until) && NETWORKING.contains(&resource))
        || (version >= Microversion(57) && INJECTED.contains(&resource))
}

fn is_told(call: &Call, resource: &str) -> bool {
    !is_gone(resource, call.version, 36)
}

/// Shows limits.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(ITEM);
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Shows the limits of a project, or of one of its users with `user_id`; -1 is any number. From 2.36 \
        without those of networks, from 2.57 without those of injected files.";
    type Action = policy::Show;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Show>, call: &Call, (): &()) -> Result<Json, Error> {
        let quotas = quotas_of(tx, call)?;
        Ok(quota_set(with_id(call), plain(call, &quotas)))
    }
}

/// Shows limits and what is in use.
pub struct Detail;

impl Endpoint for Detail {
    const ROUTE: Route = get("/os-quota-sets/{project_id}/detail");
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Shows the limits of a project, or of one of its users with `user_id`, each with how much of it is \
        in use.";
    type Action = policy::Detail;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Detail>, call: &Call, (): &()) -> Result<Json, Error> {
        let quotas = quotas_of(tx, call)?;
        let detail = |quota: &Quota| {
            let counts = json_object! { "limit": quota.limit, "in_use": quota.in_use, "reserved": 0 };
            (quota.resource, Json::from(counts))
        };
        Ok(quota_set(with_id(call), quotas.iter().map(detail).filter(|(resource, _)| is_told(call, resource))))
    }
}

/// Shows what applies where nothing was set.
pub struct ShowDefaults;

impl Endpoint for ShowDefaults {
    const ROUTE: Route = get("/os-quota-sets/{project_id}/defaults");
    const QUERY: QueryRule = QueryRule::Ignored;
    const DOC: &'static str = "Shows the limits that a project has where none were set for it.";
    type Action = policy::Defaults;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Defaults>, call: &Call, (): &()) -> Result<Json, Error> {
        quota_sets::project(tx, call.part("project_id"))?;
        let limits = quota_sets::defaults(tx, &call.quota_defaults())?.into_iter();
        let told = limits.filter(|(resource, _)| is_told(call, resource));
        Ok(quota_set(with_id(call), told.map(|(resource, limit)| (resource, limit.into()))))
    }
}

/// Sets limits.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = put(ITEM);
    const DOC: &'static str = "Sets limits of a project, or of one of its users with `user_id`; -1 is any number. A limit below what \
        is in use is refused, unless `force` is true.";
    type Action = policy::Update;
    type Takes = NewLimits;
    type Gives = Json;

    fn before(call: &Call, _: &NewLimits) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Update>, call: &Call, body: &NewLimits) -> Result<Json, Error> {
        let project = quota_sets::project(tx, call.part("project_id"))?;
        let user = user(call);
        let holder = Holder { project: &project, user: user.as_ref() };
        let defaults = call.quota_defaults();
        if body.force {
            quota_sets::force(tx, holder, &body.limits)?;
        } else {
            quota_sets::set(tx, &defaults, holder, &body.limits)?;
        }
        let quotas = quota_sets::of(tx, &defaults, holder)?;
        Ok(quota_set(Object::new(), plain(call, &quotas)))
    }
}

/// Goes back to the defaults.
pub struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = delete(ITEM);
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Forgets all limits that were set for a project and its users, or for one of its users with `user_id`: \
        the defaults apply again.";
    type Action = policy::Delete;
    type Takes = ();
    type Gives = ();

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Delete>, call: &Call, (): &()) -> Result<(), Error> {
        let user = call.query.get("user_id").filter(|user| !user.is_empty());
        Ok(quotas::forget(tx, call.part("project_id"), user)?)
    }
}

fn quotas_of(tx: &mut dyn Tx, call: &Call) -> Result<Vec<Quota>, Error> {
    let project = quota_sets::project(tx, call.part("project_id"))?;
    let user = user(call);
    Ok(quota_sets::of(tx, &call.quota_defaults(), Holder { project: &project, user: user.as_ref() })?)
}

/// The user of the query; a text that is nobody's id means the project.
fn user(call: &Call) -> Option<UserId> {
    call.query.get("user_id").and_then(|user| user.parse().ok())
}

fn with_id(call: &Call) -> Object {
    json_object! { "id": call.part("project_id") }
}

fn plain(call: &Call, quotas: &[Quota]) -> impl Iterator<Item = (&'static str, Json)> {
    quotas.iter().filter(|quota| is_told(call, quota.resource)).map(|quota| (quota.resource, quota.limit.into()))
}

fn quota_set(mut set: Object, quotas: impl Iterator<Item = (&'static str, Json)>) -> Json {
    for (resource, quota) in quotas {
        set.insert(resource, quota);
    }
    json_object! { "quota_set": set }.into()
}

/// `{"quota_set": {…}}`.
pub struct NewLimits {
    limits: Vec<(String, i64)>,
    force: bool,
}

impl Takes for NewLimits {
    fn schema(version: Microversion) -> Option<&'static Schema> {
        Some(match version {
            version if version < Microversion(36) => &UPDATE,
            version if version < Microversion(57) => &UPDATE_2_36,
            _ => &UPDATE_2_57,
        })
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        let set = call.body.get("quota_set").unwrap_or(&Json::Null);
        Ok(NewLimits { limits: limits(set), force: set.get("force").is_some_and(super::flavors::body::truth) })
    }
}

/// The limits of a body that the schema has passed, perhaps written as digits.
pub fn limits(set: &Json) -> Vec<(String, i64)> {
    let members = set.as_object().into_iter().flat_map(Object::iter);
    let known = members.filter(|(name, _)| RESOURCES.contains(name));
    known.filter_map(|(name, limit)| Some((name.to_owned(), python::str(limit).trim().parse().ok()?))).collect()
}

fn check_query(call: &Call) -> Result<(), Error> {
    let schema = if call.version < Microversion(75) { &QUERY } else { &QUERY_2_75 };
    Ok(schema.check_query(&call.query.as_lists())?)
}

const USER: schema::Rule = schema::Rule::Properties(&[("user_id", &super::flavors::ANY_TEXTS)]);
static QUERY: Schema = Schema::new(&[schema::Rule::Type(&[Type::Object]), USER]);
static QUERY_2_75: Schema =
    Schema::new(&[schema::Rule::Type(&[Type::Object]), USER, schema::Rule::AdditionalProperties(false)]);

/// A limit: -1 is any number.
pub static LIMIT: Schema = Schema::new(&[
    schema::Rule::Type(&[Type::Integer, Type::String]),
    schema::Rule::Pattern(&pattern::SIGNED_DIGITS),
    schema::Rule::Minimum(-1),
    schema::Rule::Maximum(0x7fff_ffff),
]);

/// The schema of a body with limits, in Nova's order: the resources of every version, then more.
macro_rules! limits_body {
    ($root:literal, [$($name:literal),*] $(, $more:expr)*) => {
        $crate::api::schema::Schema::new(&[
            $crate::api::schema::Rule::Type(&[$crate::api::schema::Type::Object]),
            $crate::api::schema::Rule::Properties(&[(
                $root,
                &$crate::api::schema::Schema::new(&[
                    $crate::api::schema::Rule::Type(&[$crate::api::schema::Type::Object]),
                    $crate::api::schema::Rule::Properties(&[
                        $(($name, &$crate::api::compute::quota_sets::LIMIT),)*
                        $($more,)*
                    ]),
                    $crate::api::schema::Rule::AdditionalProperties(false),
                ]),
            )]),
            $crate::api::schema::Rule::Required(&[$root]),
            $crate::api::schema::Rule::AdditionalProperties(false),
        ])
    };
}
pub(super) use limits_body;

const FORCE: (&str, &Schema) = ("force", &parameter_types::BOOLEAN);

static UPDATE: Schema = limits_body!(
    "quota_set",
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
    ],
    FORCE
);
static UPDATE_2_36: Schema = limits_body!(
    "quota_set",
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
    ],
    FORCE
);
static UPDATE_2_57: Schema = limits_body!(
    "quota_set",
    ["instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members"],
    FORCE
);

/// The rules (nova/policies/quota_sets.py). They are asked about the project of the URL.
pub mod policy {
    use crate::policy::Action;
    use crate::policy::targets::Scope;

    macro_rules! rule {
        ($(#[$doc:meta])* $name:ident, $rule:literal, $default:literal, $deprecated:expr, $words:literal) => {
            $(#[$doc])*
            pub struct $name;

            impl Action for $name {
                const RULE: &'static str = concat!("os_compute_api:os-quota-sets:", $rule);
                const DEFAULT: &'static str = $default;
                const DEPRECATED: Option<&'static str> = $deprecated;
                const DOC: &'static str = $words;
                type Target = Scope;
            }
        };
    }

    const OWNER: Option<&str> = Some("rule:admin_or_owner");

    rule!(
        /// Setting limits.
        Update, "update", "rule:context_is_admin", None, "Update the quotas"
    );
    rule!(
        /// Showing the defaults.
        Defaults, "defaults", "@", None, "List default quotas"
    );
    rule!(
        /// Showing limits.
        Show, "show", "rule:project_reader_or_admin", OWNER, "Show a quota"
    );
    rule!(
        /// Going back to the defaults.
        Delete, "delete", "rule:context_is_admin", None, "Revert quotas to defaults"
    );
    rule!(
        /// Showing limits with what is in use.
        Detail, "detail", "rule:project_reader_or_admin", OWNER, "Show the detail of quota"
    );
}
