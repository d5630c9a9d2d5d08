//! What clients read of the things that Identity keeps, without links: these are added where it is known how they were asked for.

use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::{
    ApplicationCredential, CatalogEndpoint, Domain, Named, Project, Region, Role, Service, User,
};

/// Adds what clients have added, but never over a member of ours.
fn with(mut object: Object, extra: Object) -> Object {
    for (name, value) in extra.iter().filter(|(name, _)| !matches!(*name, "links" | "password")) {
        if !object.contains(name) {
            object.insert(name, value.clone());
        }
    }
    object
}

/// A domain.
pub fn domain(domain: Domain) -> Object {
    let object = json_object! {
        "id": domain.id.as_str(), "name": domain.name, "description": domain.description, "enabled": domain.enabled,
        "tags": Json::Array(Vec::new()), "options": Object::new(),
    };
    with(object, domain.extra)
}

/// A project.
pub fn project(project: Project) -> Object {
    let object = json_object! {
        "id": project.id.as_str(), "name": project.name, "domain_id": project.domain_id.as_str(), "description": project.description,
        "enabled": project.enabled, "parent_id": project.parent_id, "is_domain": false, "tags": project.tags, "options": Object::new(),
    };
    with(object, project.extra)
}

/// A user.
pub fn user(user: User) -> Object {
    let mut object = json_object! {
        "id": user.id.as_str(), "name": user.name, "domain_id": user.domain_id.as_str(), "enabled": user.enabled,
    };
    if let Some(project) = user.default_project_id {
        object.insert("default_project_id", project);
    }
    object.insert("password_expires_at", Json::Null);
    object.insert("options", Object::new());
    with(object, user.extra)
}

/// A role.
pub fn role(role: Role) -> Object {
    let object = json_object! {
        "id": role.id.as_str(), "name": role.name, "domain_id": role.domain_id, "description": role.description,
        "options": Object::new(),
    };
    with(object, role.extra)
}

/// A service.
pub fn service(service: Service) -> Object {
    let mut object = json_object! { "id": service.id, "type": service.service_type, "enabled": service.enabled };
    if !service.name.is_empty() {
        object.insert("name", service.name);
    }
    if !service.description.is_empty() {
        object.insert("description", service.description);
    }
    with(object, service.extra)
}

/// An endpoint, with its gaps but for our own address.
pub fn endpoint(endpoint: CatalogEndpoint, public_url: &str) -> Object {
    let mut object = json_object! {
        "id": endpoint.id, "interface": endpoint.interface, "region_id": endpoint.region_id.clone(), "service_id": endpoint.service_id,
        "url": endpoint.url.replace("$(public_url)s", public_url), "enabled": endpoint.enabled, "region": endpoint.region_id,
    };
    if !endpoint.name.is_empty() {
        object.insert("name", endpoint.name);
    }
    with(object, endpoint.extra)
}

/// A region.
pub fn region(region: Region) -> Object {
    let object = json_object! {
        "id": region.id, "description": region.description, "parent_region_id": region.parent_region_id,
    };
    with(object, region.extra)
}

/// An application credential with its roles.
pub fn application_credential(credential: ApplicationCredential, roles: &[Named]) -> Object {
    let roles = roles.iter().map(|role| {
        json_object! { "id": role.id.as_str(), "name": role.name.as_str(), "domain_id": None::<&str>, "options": Object::new() }
    });
    json_object! {
        "id": credential.id, "project_id": credential.project_id.as_str(), "name": credential.name, "description": credential.description,
        "expires_at": credential.expires_at.map(|at| at.with_microseconds().to_string()), "unrestricted": credential.unrestricted,
        "roles": roles.collect::<Json>(),
    }
}
