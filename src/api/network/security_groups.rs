//! The default security group of the caller's project and its four rules, as Neutron makes them for every project. They are not
//! kept: their ids follow from the project's, so they are the same whenever one asks.

use sha2::{Digest, Sha256};

use super::{listed, not_found, shown};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Route, delete, get};
use crate::api::fault::Fault;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::ids::{ProjectId, ServerId};
use crate::policy::{Allowed, AnyCaller};
use crate::store::Tx;

const GROUPS: &str = "/v2.0/security-groups";
const GROUP: &str = "/v2.0/security-groups/{id}";

/// Direction and ethertype: all may leave, members of the group may enter.
const RULES: [(&str, &str); 4] = [("egress", "IPv4"), ("egress", "IPv6"), ("ingress", "IPv4"), ("ingress", "IPv6")];

/// A UUID that follows from the project and a name.
fn id_of(project: &ProjectId, name: &str) -> String {
    let hash = Sha256::new().chain_update(project.as_str()).chain_update([0]).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    ServerId::from_random(bytes).to_string()
}

fn rule(project: &ProjectId, (direction, ethertype): (&str, &str)) -> Object {
    let group = id_of(project, "default");
    json_object! {
        "id": id_of(project, &format!("{direction} {ethertype}")),
        "tenant_id": project.as_str(),
        "project_id": project.as_str(),
        "security_group_id": group.as_str(),
        "ethertype": ethertype,
        "direction": direction,
        "protocol": None::<&str>,
        "port_range_min": None::<i64>,
        "port_range_max": None::<i64>,
        "remote_ip_prefix": None::<&str>,
        "remote_address_group_id": None::<&str>,
        "normalized_cidr": None::<&str>,
        "remote_group_id": (direction == "ingress").then_some(group.as_str()),
        "description": "",
        "tags": Json::Array(Vec::new()),
        "revision_number": 0,
    }
}

fn rules(project: &ProjectId) -> Vec<Object> {
    RULES.iter().map(|kind| rule(project, *kind)).collect()
}

fn group(project: &ProjectId) -> Object {
    json_object! {
        "id": id_of(project, "default"),
        "name": "default",
        "stateful": true,
        "tenant_id": project.as_str(),
        "project_id": project.as_str(),
        "description": "Default security group",
        "shared": false,
        "security_group_rules": rules(project),
        "tags": Json::Array(Vec::new()),
        "revision_number": 1,
    }
}

/// The project of the token; who has none has no groups.
fn own(call: &Call) -> Result<Option<&ProjectId>, Error> {
    Ok(call.who()?.project_id.as_ref())
}

fn has_id(object: &Object, id: &str) -> bool {
    object.get("id").and_then(Json::as_str) == Some(id)
}

fn found(call: &Call) -> Result<Object, Error> {
    let id = call.part("id");
    let group = own(call)?.map(group).filter(|group| has_id(group, id));
    group.ok_or_else(|| not_found("SecurityGroupNotFound", format!("Security group {id} does not exist")))
}

/// Lists the groups.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get(GROUPS);
    const DOC: &'static str = "Lists the security groups of the caller's project: the one named `default`.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(listed(call, "security_groups", own(call)?.map(group).into_iter().collect()))
    }
}

/// Shows a group.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(GROUP);
    const DOC: &'static str = "Shows a security group of the caller's project by its id, with its rules.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(shown(call, "security_group", found(call)?))
    }
}

/// Refuses to delete the default group.
pub struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = delete(GROUP);
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Deletes no security group: there is only the default one, which stays.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = ();

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<(), Error> {
        found(call)?;
        let stays = Fault::conflict("Removing default security group not allowed.");
        Err(Fault { name: Some("SecurityGroupCannotRemoveDefault"), ..stays }.into())
    }
}

/// Lists the rules.
pub struct ListRules;

impl Endpoint for ListRules {
    const ROUTE: Route = get("/v2.0/security-group-rules");
    const DOC: &'static str = "Lists the rules of the security groups of the caller's project.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        Ok(listed(call, "security_group_rules", own(call)?.map(rules).unwrap_or_default()))
    }
}

/// Shows a rule.
pub struct ShowRule;

impl Endpoint for ShowRule {
    const ROUTE: Route = get("/v2.0/security-group-rules/{id}");
    const DOC: &'static str = "Shows a rule of a security group of the caller's project by its id.";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        let id = call.part("id");
        let rule = own(call)?.map(rules).unwrap_or_default().into_iter().find(|rule| has_id(rule, id));
        let missing = || not_found("SecurityGroupRuleNotFound", format!("Security group rule {id} does not exist"));
        Ok(shown(call, "security_group_rule", rule.ok_or_else(missing)?))
    }
}
