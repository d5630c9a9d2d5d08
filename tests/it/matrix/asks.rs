//! What is asked: for every row of the table a request that does what the row is there for, if only the caller may. A row that is not
//! named here is asked with a body that its schema describes, about the things in `VALUES`.

use kilonova::api::dialect::Api;
use kilonova::api::endpoint::Operation;

/// What a row needs beyond the usual.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    /// Values of the names in the path, where others than the usual ones.
    pub values: &'static [(&'static str, &'static str)],
    /// A query.
    pub query: &'static str,
    /// A body, with its media type.
    pub body: Option<(&'static str, &'static str)>,
    /// The microversion, where not the first one.
    pub version: Option<&'static str>,
    /// Statements that put the things into the state that the row is for.
    pub given: &'static [&'static str],
}

const NOTHING: Needs = Needs { values: &[], query: "", body: None, version: None, given: &[] };

const fn json(body: &'static str) -> Needs {
    Needs { body: Some(("application/json", body)), ..NOTHING }
}

const fn given(given: &'static [&'static str]) -> Needs {
    Needs { given, ..NOTHING }
}

const fn of(values: &'static [(&'static str, &'static str)]) -> Needs {
    Needs { values, ..NOTHING }
}

impl Needs {
    const fn with(self, values: &'static [(&'static str, &'static str)]) -> Needs {
        Needs { values, ..self }
    }

    const fn after(self, given: &'static [&'static str]) -> Needs {
        Needs { given, ..self }
    }

    const fn at(self, version: &'static str) -> Needs {
        Needs { version: Some(version), ..self }
    }

    const fn asking(self, query: &'static str) -> Needs {
        Needs { query, ..self }
    }
}

/// What stands in the place of a name in a path, unless a row says otherwise; `@name` is the id of that name, `@role:name` a role's.
pub const VALUES: &[(&str, &str)] = &[
    ("server_id", super::stage::SERVER),
    ("image_id", super::stage::IMAGE),
    ("key", "a"),
    ("tag", "t"),
    ("name", "pair"),
    ("class", "default"),
    ("project_id", "@blue"),
    ("domain_id", "default"),
    ("user_id", "@member"),
    ("role_id", "@role:member"),
    ("implied_role_id", "@role:reader"),
    ("application_credential_id", "credential"),
    ("region_id", "region"),
    ("service_id", "service"),
    ("endpoint_id", "endpoint"),
    ("flavor_id", "open"),
    ("member_id", "@green"),
    ("alias", "security-group"),
];

/// What a row of the table needs.
pub fn needs(api: Api, row: &dyn Operation) -> Needs {
    let route = row.route();
    let key = match route.action {
        Some(action) => format!("{action} {}", route.path),
        None => format!("{} {}", route.method, route.path),
    };
    let named = match api {
        Api::Compute => COMPUTE,
        Api::Identity => IDENTITY,
        Api::Image => IMAGE,
        Api::Network => NETWORK,
    };
    named.iter().find(|(name, _)| *name == key).map_or(NOTHING, |(_, needs)| *needs)
}

const STOPPED: Needs = given(&["UPDATE servers SET vm_state = 'stopped'"]);
const SHELVED: &[&str] = &["UPDATE servers SET vm_state = 'shelved'"];
const RESIZED: Needs = given(&[
    r#"UPDATE servers SET vm_state = 'resized', details = replace(details, '{"flavor"', '{"other_flavor": {"id": "1",
       "name": "m1.tiny", "memory_mb": 512, "vcpus": 1, "root_gb": 1, "ephemeral_gb": 0, "swap": 0, "rxtx_factor": 1.0,
       "is_public": true, "disabled": false, "extra_specs": {}}, "flavor"')"#,
]);
const FREE: &[&str] = &["DELETE FROM key_pairs"];
/// Whose blob is deleted has nothing in the directory: the next rows still want what is there.
const NO_DATA: Needs = given(&["UPDATE images SET blob = NULL, protected = 0"]);

const COMPUTE: &[(&str, Needs)] = &[
    ("GET /versions/{id}", of(&[("id", "v2.1")])),
    (
        "POST /flavors",
        json(r#"{"flavor": {"name": "new", "ram": 512, "vcpus": 1, "disk": 1}}"#),
    ),
    ("addTenantAccess /flavors/{flavor_id}/action", json(r#"{"addTenantAccess": {"tenant": "@green"}}"#).with(PRIVATE)),
    ("removeTenantAccess /flavors/{flavor_id}/action", json(r#"{"removeTenantAccess": {"tenant": "@blue"}}"#).with(PRIVATE)),
    ("GET /flavors/{flavor_id}/os-flavor-access", of(PRIVATE)),
    ("DELETE /images/{image_id}", NO_DATA),
    ("POST /os-keypairs", json(r#"{"keypair": {"name": "pair"}}"#).after(FREE)),
    ("PUT /os-quota-sets/{project_id}", json(r#"{"quota_set": {"cores": 21}}"#)),
    ("PUT /os-quota-class-sets/{class}", json(r#"{"quota_class_set": {"cores": 21}}"#)),
    ("POST /servers", json(CREATE)),
    ("os-start /servers/{server_id}/action", STOPPED),
    ("unpause /servers/{server_id}/action", given(&["UPDATE servers SET vm_state = 'paused'"])),
    ("resume /servers/{server_id}/action", given(&["UPDATE servers SET vm_state = 'suspended'"])),
    ("unrescue /servers/{server_id}/action", given(&["UPDATE servers SET vm_state = 'rescued'"])),
    ("shelveOffload /servers/{server_id}/action", given(SHELVED)),
    ("unshelve /servers/{server_id}/action", given(SHELVED)),
    ("resize /servers/{server_id}/action", json(r#"{"resize": {"flavorRef": "open"}}"#)),
    ("reboot /servers/{server_id}/action", json(r#"{"reboot": {"type": "HARD"}}"#)),
    ("confirmResize /servers/{server_id}/action", RESIZED),
    ("revertResize /servers/{server_id}/action", RESIZED),
    (
        "rebuild /servers/{server_id}/action",
        json(r#"{"rebuild": {"imageRef": "6f9c6b2e-0000-4000-8000-000000000003"}}"#),
    ),
    ("createImage /servers/{server_id}/action", json(r#"{"createImage": {"name": "new"}}"#)),
    ("restore /servers/{server_id}/action", given(&["UPDATE servers SET vm_state = 'soft-delete'"])),
];

const PRIVATE: &[(&str, &str)] = &[("flavor_id", "private")];
const CREATE: &str =
    r#"{"server": {"name": "new", "imageRef": "6f9c6b2e-0000-4000-8000-000000000003", "flavorRef": "open"}}"#;

const PAINTER: &[(&str, &str)] = &[("role_id", "painter")];
/// Somebody who has a role there.
const GRANTED: &[(&str, &str)] = &[("user_id", "@nobody"), ("role_id", "@role:reader")];
const NORTH: &[(&str, &str)] = &[("domain_id", "north")];

const IDENTITY: &[(&str, Needs)] = &[
    (
        "POST /v3/auth/tokens",
        json(
            r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "@member", "password": "first"}}}}}"#,
        ),
    ),
    (
        "POST /v2.0/tokens",
        json(r#"{"auth": {"passwordCredentials": {"username": "the member", "password": "first"}}}"#),
    ),
    (
        "POST /v3/users/{user_id}/password",
        json(r#"{"user": {"original_password": "first", "password": "second"}}"#),
    ),
    ("POST /v3/domains", json(r#"{"domain": {"name": "new"}}"#)),
    ("PATCH /v3/domains/{domain_id}", json(r#"{"domain": {"description": "new"}}"#).with(NORTH)),
    ("DELETE /v3/domains/{domain_id}", of(NORTH).after(&["UPDATE domains SET enabled = 0 WHERE id = 'north'"])),
    ("POST /v3/projects", json(r#"{"project": {"name": "new", "domain_id": "default"}}"#)),
    ("PATCH /v3/projects/{project_id}", json(r#"{"project": {"description": "new"}}"#)),
    ("POST /v3/users", json(r#"{"user": {"name": "new", "domain_id": "default", "password": "new"}}"#)),
    ("PATCH /v3/users/{user_id}", json(r#"{"user": {"description": "new"}}"#)),
    ("POST /v3/roles", json(r#"{"role": {"name": "new"}}"#)),
    ("PATCH /v3/roles/{role_id}", json(r#"{"role": {"description": "new"}}"#).with(PAINTER)),
    ("DELETE /v3/roles/{role_id}", of(PAINTER)),
    ("GET /v3/roles/{role_id}/implies", of(PAINTER)),
    ("GET /v3/roles/{role_id}/implies/{implied_role_id}", of(PAINTER)),
    ("HEAD /v3/roles/{role_id}/implies/{implied_role_id}", of(PAINTER)),
    (
        "PUT /v3/roles/{role_id}/implies/{implied_role_id}",
        of(&[("role_id", "painter"), ("implied_role_id", "@role:member")]),
    ),
    ("DELETE /v3/roles/{role_id}/implies/{implied_role_id}", of(PAINTER)),
    ("GET /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}", of(GRANTED)),
    ("HEAD /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}", of(GRANTED)),
    ("DELETE /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}", of(GRANTED)),
    ("GET /v3/system/users/{user_id}/roles/{role_id}", of(GRANTED)),
    ("HEAD /v3/system/users/{user_id}/roles/{role_id}", of(GRANTED)),
    ("DELETE /v3/system/users/{user_id}/roles/{role_id}", of(GRANTED)),
    ("POST /v3/regions", json(r#"{"region": {"id": "new"}}"#)),
    ("PUT /v3/regions/{region_id}", json(r#"{"region": {}}"#).with(&[("region_id", "new")])),
    ("PATCH /v3/regions/{region_id}", json(r#"{"region": {"description": "new"}}"#)),
    ("DELETE /v3/regions/{region_id}", given(&["DELETE FROM endpoints WHERE id = 'endpoint'"])),
    ("POST /v3/services", json(r#"{"service": {"type": "new"}}"#)),
    ("PATCH /v3/services/{service_id}", json(r#"{"service": {"description": "new"}}"#)),
    (
        "POST /v3/endpoints",
        json(r#"{"endpoint": {"interface": "public", "service_id": "service", "url": "http://new"}}"#),
    ),
    ("PATCH /v3/endpoints/{endpoint_id}", json(r#"{"endpoint": {"enabled": false}}"#)),
    (
        "POST /v3/users/{user_id}/application_credentials",
        json(r#"{"application_credential": {"name": "new"}}"#),
    ),
];

const QUEUED: &[&str] =
    &["UPDATE images SET status = 'queued', blob = NULL WHERE id = '6f9c6b2e-0000-4000-8000-000000000002'"];
/// Shared with `green`, which has not answered.
const SHARED: &[&str] = &[
    "UPDATE images SET visibility = 'shared' WHERE id = '6f9c6b2e-0000-4000-8000-000000000002'",
    "INSERT INTO image_members (image_id, member_id, status, created_at, updated_at) \
     SELECT '6f9c6b2e-0000-4000-8000-000000000002', id, 'pending', 0, 0 FROM projects WHERE name = 'green'",
];
const PATCH: (&str, &str) = (
    "application/openstack-images-v2.1-json-patch",
    r#"[{"op": "replace", "path": "/name", "value": "new"}]"#,
);

const IMAGE: &[(&str, Needs)] = &[
    ("POST /v2/images", json(r#"{"name": "new", "disk_format": "raw", "container_format": "bare"}"#)),
    ("PATCH /v2/images/{image_id}", Needs { body: Some(PATCH), ..NOTHING }),
    ("DELETE /v2/images/{image_id}", NO_DATA),
    (
        "PUT /v2/images/{image_id}/file",
        Needs { body: Some(("application/octet-stream", "data")), ..NOTHING }.after(QUEUED),
    ),
    (
        "POST /v2/images/{image_id}/actions/reactivate",
        given(&["UPDATE images SET status = 'deactivated' WHERE id = '6f9c6b2e-0000-4000-8000-000000000002'"]),
    ),
    ("GET /v2/images/{image_id}/members", given(SHARED)),
    ("POST /v2/images/{image_id}/members", json(r#"{"member": "@violet"}"#).after(SHARED)),
    ("GET /v2/images/{image_id}/members/{member_id}", given(SHARED)),
    ("PUT /v2/images/{image_id}/members/{member_id}", json(r#"{"status": "accepted"}"#).after(SHARED)),
    ("DELETE /v2/images/{image_id}/members/{member_id}", given(SHARED)),
];

const NETWORK: &[(&str, Needs)] = &[
    ("GET /v2.0/security-groups/{id}", of(&[("id", "@group")])),
    ("DELETE /v2.0/security-groups/{id}", of(&[("id", "@group")])),
    ("GET /v2.0/security-group-rules/{id}", of(&[("id", "@rule")])),
    ("GET /v2.0/networks/{id}", ABSENT),
    ("GET /v2.0/subnets/{id}", ABSENT),
    ("GET /v2.0/ports/{id}", ABSENT),
    ("GET /v2.0/routers/{id}", ABSENT),
    ("GET /v2.0/floatingips/{id}", ABSENT),
];

const ABSENT: Needs = of(&[("id", "any")]);

/// Rows that nobody is answered well by, with the reason.
pub const NEVER_WELL: &[(&str, &str)] = &[
    ("GET /network/v2.0/networks/{id}", "there are none"),
    ("GET /network/v2.0/subnets/{id}", "there are none"),
    ("GET /network/v2.0/ports/{id}", "there are none"),
    ("GET /network/v2.0/routers/{id}", "there are none"),
    ("GET /network/v2.0/floatingips/{id}", "there are none"),
    ("DELETE /network/v2.0/security-groups/{id}", "the default group stays"),
    ("GET /image/v2/info/stores", "there is one store only, of which Glance says that there are none"),
    ("POST /v2.1/servers/{server_id}/action changePassword", "the server on this stage has no guest"),
    ("POST /v2/servers/{server_id}/action changePassword", "the server on this stage has no guest"),
    ("POST /v2.1/servers/{server_id}/action os-getConsoleOutput", "the server on this stage has no guest"),
    ("POST /v2/servers/{server_id}/action os-getConsoleOutput", "the server on this stage has no guest"),
    ("PATCH /identity/v3/users/@member: moving a user", "users stay in their domain"),
];

/// The same rows, asked for more than the usual: what a field or a parameter opens has a rule of its own.
pub const MORE: &[(&str, &str, &str, Needs)] = &[
    ("servers of all projects", "GET", "/v2.1/servers", NOTHING.asking("all_tenants=1")),
    ("servers of all projects", "GET", "/v2.1/servers/detail", NOTHING.asking("all_tenants=1")),
    ("servers of another project", "GET", "/v2.1/servers", NOTHING.asking("all_tenants=1&project_id=@blue")),
    ("deleted servers", "GET", "/v2.1/servers", NOTHING.asking("deleted=true")),
    ("a server on a host", "POST", "/v2.1/servers", json(ON_HOST).at("2.74")),
    ("a server in a zone on a host", "POST", "/v2.1/servers", json(IN_ZONE)),
    ("somebody else's key pairs", "GET", "/v2.1/os-keypairs", NOTHING.at("2.10").asking("user_id=@member")),
    ("somebody else's key pair", "GET", "/v2.1/os-keypairs/pair", NOTHING.at("2.10").asking("user_id=@member")),
    ("somebody else's key pair", "DELETE", "/v2.1/os-keypairs/pair", NOTHING.at("2.10").asking("user_id=@member")),
    (
        "a key pair for somebody else",
        "POST",
        "/v2.1/os-keypairs",
        json(r#"{"keypair": {"name": "pair", "user_id": "@member"}}"#).at("2.10").after(FREE),
    ),
    ("limits of another project", "GET", "/v2.1/limits", NOTHING.asking("tenant_id=@blue")),
    ("flavors of others", "GET", "/v2.1/flavors/private", NOTHING),
    (
        "unlocking what an administrator has locked",
        "POST",
        "/v2.1/servers/{server_id}/action",
        json(r#"{"unlock": null}"#).after(&[
            r#"UPDATE servers SET locked = 1, details = replace(details, '{"flavor"', '{"lock": {"by": "admin", "reason": null}, "flavor"')"#,
        ]),
    ),
    (
        "changing what is locked",
        "PUT",
        "/v2.1/servers/{server_id}/metadata/a",
        json(r#"{"meta": {"a": "2"}}"#).after(&[
            r#"UPDATE servers SET locked = 1, details = replace(details, '{"flavor"', '{"lock": {"by": "owner", "reason": null}, "flavor"')"#,
        ]),
    ),
    ("a public image", "POST", "/image/v2/images", json(r#"{"name": "new", "visibility": "public"}"#)),
    ("a community image", "POST", "/image/v2/images", json(r#"{"name": "new", "visibility": "community"}"#)),
    ("an image for another project", "POST", "/image/v2/images", json(r#"{"name": "new", "owner": "@blue"}"#)),
    (
        "making an image public",
        "PATCH",
        "/image/v2/images/{image_id}",
        Needs { body: Some((PATCH.0, r#"[{"op": "replace", "path": "/visibility", "value": "public"}]"#)), ..NOTHING },
    ),
    (
        "giving an image away",
        "PATCH",
        "/image/v2/images/{image_id}",
        Needs { body: Some((PATCH.0, r#"[{"op": "replace", "path": "/owner", "value": "@green"}]"#)), ..NOTHING },
    ),
    ("changing a public image of others", "PATCH", "/image/v2/images/{open}", Needs { body: Some(PATCH), ..NOTHING }),
    ("deleting a public image of others", "DELETE", "/image/v2/images/{open}", NO_DATA),
    ("a role that makes an administrator", "PUT", "/identity/v3/projects/@blue/users/@member/roles/@role:admin", NOTHING),
    ("a user in another domain", "POST", "/identity/v3/users", json(r#"{"user": {"name": "new", "domain_id": "north"}}"#)),
    ("moving a user", "PATCH", "/identity/v3/users/@member", json(r#"{"user": {"domain_id": "north"}}"#)),
    ("a password for somebody else", "PATCH", "/identity/v3/users/@member", json(r#"{"user": {"password": "new"}}"#)),
    ("a project in another domain", "POST", "/identity/v3/projects", json(r#"{"project": {"name": "new", "domain_id": "north"}}"#)),
    ("users of another domain", "GET", "/identity/v3/users", NOTHING.asking("domain_id=north")),
    ("projects of another domain", "GET", "/identity/v3/projects", NOTHING.asking("domain_id=north")),
    ("a project of another domain", "GET", "/identity/v3/projects/@polar", NOTHING),
    ("a role for a user of another domain", "PUT", "/identity/v3/projects/@polar/users/@member/roles/@role:member", NOTHING),
];

const ON_HOST: &str = r#"{"server": {"name": "new", "imageRef": "6f9c6b2e-0000-4000-8000-000000000003", "flavorRef": "open", "networks": "none", "host": "kilonova"}}"#;
const IN_ZONE: &str = r#"{"server": {"name": "new", "imageRef": "6f9c6b2e-0000-4000-8000-000000000003", "flavorRef": "open", "availability_zone": "nova:kilonova"}}"#;
