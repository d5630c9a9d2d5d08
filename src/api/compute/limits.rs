//! Limits: the quota of the caller's project, under other names, with what is in use.

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Route, Rule, get};
use crate::api::schema::{self, Schema, Type};
use crate::api::version::Microversion;
use crate::compute::quota_sets::{self, Holder, Quota};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::ids::ProjectId;
use crate::policy::Allowed;
use crate::policy::targets::Scope;
use crate::store::Tx;

/// Resources in the order in which Nova registers them, with the names of their limits, and the first version without them.
const LIMITS: [(&str, &str, u16); 13] = [
    ("cores", "maxTotalCores", u16::MAX),
    ("injected_files", "maxPersonality", 57),
    ("injected_file_content_bytes", "maxPersonalitySize", 57),
    ("instances", "maxTotalInstances", u16::MAX),
    ("key_pairs", "maxTotalKeypairs", u16::MAX),
    ("metadata_items", "maxServerMeta", u16::MAX),
    ("metadata_items", "maxImageMeta", 39),
    ("ram", "maxTotalRAMSize", u16::MAX),
    ("server_groups", "maxServerGroups", u16::MAX),
    ("server_group_members", "maxServerGroupMembers", u16::MAX),
    ("floating_ips", "maxTotalFloatingIps", 36),
    ("security_groups", "maxSecurityGroups", 36),
    ("security_group_rules", "maxSecurityGroupRules", 36),
];

/// What is in use, likewise.
const USED: [(&str, &str, u16); 6] = [
    ("ram", "totalRAMUsed", u16::MAX),
    ("cores", "totalCoresUsed", u16::MAX),
    ("instances", "totalInstancesUsed", u16::MAX),
    ("floating_ips", "totalFloatingIpsUsed", 36),
    ("security_groups", "totalSecurityGroupsUsed", 36),
    ("server_groups", "totalServerGroupsUsed", u16::MAX),
];

/// Shows the limits.
pub struct Index;

impl Endpoint for Index {
    const ROUTE: Route = get("/limits");
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Shows the limits of the caller's project and what is in use; -1 is any number. At `/v2` with the rate limits, if \
        any are kept. Administrators name \
        another project with `tenant_id`.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::OtherProject>()];
    type Action = policy::Index;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        let schema = if call.version < Microversion(75) { &QUERY } else { &QUERY_2_75 };
        Ok(schema.check_query(&call.query.as_lists())?)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Index>, call: &Call, (): &()) -> Result<Json, Error> {
        let defaults = call.quota_defaults();
        let project = project(call)?;
        let quotas = match &project {
            Some(project) => quota_sets::of(tx, &defaults, Holder { project, user: None })?,
            // nobody has such an id: what would apply to them are the defaults
            None => unused(quota_sets::defaults(tx, &defaults)?),
        };
        let limits = json_object! { "rate": rate(call, project.as_ref()), "absolute": absolute(call, &quotas) };
        Ok(json_object! { "limits": limits }.into())
    }
}

fn project(call: &Call) -> Result<Option<ProjectId>, Error> {
    let Some(id) = call.query.last("tenant_id") else { return Ok(Some(call.project()?.clone())) };
    call.must::<policy::OtherProject>(&Scope::of(call.who()?))?;
    Ok(id.parse().ok())
}

/// Rate limits, which only Cloud Servers has, and only where the settings name some.
fn rate(call: &Call, project: Option<&ProjectId>) -> Json {
    let rates = call.cloud.rates.as_ref().filter(|_| call.dialect.is_cloud_servers);
    match (rates, project) {
        (Some(rates), Some(project)) => rates.shown(project.as_str()),
        (Some(_), None) | (None, _) => Json::Array(Vec::new()),
    }
}

fn unused(limits: Vec<(&'static str, i64)>) -> Vec<Quota> {
    limits.into_iter().map(|(resource, limit)| Quota { resource, limit, in_use: 0 }).collect()
}

fn absolute(call: &Call, quotas: &[Quota]) -> Object {
    let of = |resource: &str| quotas.iter().find(|quota| quota.resource == resource);
    let told = |until: u16| call.version < Microversion(until);
    let limits = LIMITS.iter().filter(|(_, _, until)| told(*until));
    let limits = limits.filter_map(|(resource, name, _)| Some((*name, of(resource)?.limit)));
    let used = USED.iter().filter(|(_, _, until)| told(*until));
    let used = used.filter_map(|(resource, name, _)| Some((*name, of(resource)?.in_use)));
    limits.chain(used).collect()
}

const TENANT: schema::Rule = schema::Rule::Properties(&[("tenant_id", &super::flavors::ANY_TEXTS)]);
static QUERY: Schema = Schema::new(&[schema::Rule::Type(&[Type::Object]), TENANT]);
static QUERY_2_75: Schema =
    Schema::new(&[schema::Rule::Type(&[Type::Object]), TENANT, schema::Rule::AdditionalProperties(false)]);

/// The rules (nova/policies/limits.py).
pub mod policy {
    use crate::policy::Action;
    use crate::policy::targets::Scope;

    /// Showing one's own.
    pub struct Index;

    impl Action for Index {
        const RULE: &'static str = "os_compute_api:limits";
        const DEFAULT: &'static str = "@";
        const DOC: &'static str = "Show rate and absolute limits for the current user project";
        type Target = ();
    }

    /// Showing those of another project.
    pub struct OtherProject;

    impl Action for OtherProject {
        const RULE: &'static str = "os_compute_api:limits:other_project";
        const DEFAULT: &'static str = "rule:context_is_admin";
        const DEPRECATED: Option<&'static str> = Some("rule:admin_api");
        const DOC: &'static str = "Show rate and absolute limits of other project";
        type Target = Scope;
    }
}
