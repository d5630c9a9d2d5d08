//! A token and the catalog as clients read them (keystone/common/render_token.py).

use crate::api::call::Call;
use crate::identity::catalog::{Gaps, Listed, catalog};
use crate::identity::standing::{Footing, Standing};
use crate::identity::token::{Method, Token};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::Named;
use crate::model::time::Timestamp;
use crate::store::identity::ActiveProject;
use crate::store::{StoreError, Tx};

/// `{"token": {…}}`.
///
/// # Errors
/// The store's.
pub fn token(tx: &mut dyn Tx, call: &Call, token: &Token, standing: &Standing) -> Result<Json, StoreError> {
    let user = &standing.user;
    let mut object = json_object! {
        "methods": token.methods.iter().map(Method::name).collect::<Json>(),
        "user": json_object! {
            "domain": named(&user.domain), "id": user.id.as_str(), "name": user.name.as_str(), "password_expires_at": None::<&str>,
        },
        "audit_ids": token.audit_ids.clone(),
        "expires_at": time(token.expires_at),
        "issued_at": time(token.issued_at),
    };
    scope(&mut object, standing);
    if !call.query.iter().any(|(name, _)| name == "nocatalog") && !matches!(standing.ground, Footing::Unscoped) {
        object.insert("catalog", services(tx, call, standing)?);
    }
    if let Some(credential) = &standing.credential {
        let shown = json_object! {
            "id": credential.id.as_str(), "name": credential.name.as_str(), "restricted": !credential.unrestricted,
        };
        object.insert("application_credential", shown);
    }
    Ok(json_object! { "token": object }.into())
}

fn scope(object: &mut Object, standing: &Standing) {
    match &standing.ground {
        Footing::Unscoped => return,
        Footing::System => object.insert("system", json_object! { "all": true }),
        Footing::Domain(domain) => object.insert("domain", named(domain)),
        Footing::Project(project) => {
            object.insert("project", project_named(project));
            object.insert("is_domain", false)
        }
    };
    object.insert("roles", standing.roles.iter().map(named).collect::<Json>());
}

fn named(it: &Named) -> Object {
    json_object! { "id": it.id.as_str(), "name": it.name.as_str() }
}

fn project_named(project: &ActiveProject) -> Object {
    json_object! { "domain": named(&project.domain), "id": project.id.as_str(), "name": project.name.as_str() }
}

/// Seconds since the epoch in the form of tokens.
pub fn time(seconds: i64) -> String {
    Timestamp::EPOCH.plus_seconds(seconds).in_keystones_form().to_string()
}

/// The catalog of a token.
///
/// # Errors
/// The store's.
pub fn services(tx: &mut dyn Tx, call: &Call, standing: &Standing) -> Result<Json, StoreError> {
    Ok(listed(tx, call, standing)?.into_iter().map(service).collect())
}

/// The catalog of a token, before it is put into words.
///
/// # Errors
/// The store's.
pub fn listed(tx: &mut dyn Tx, call: &Call, standing: &Standing) -> Result<Vec<Listed>, StoreError> {
    let project_id = standing.ground.project().map(|project| project.id.as_str());
    catalog(tx, Gaps { public_url: call.cloud.public_url(), user_id: standing.user.id.as_str(), project_id })
}

/// A service of the catalog.
pub fn service(service: Listed) -> Object {
    let endpoints = service.endpoints.into_iter().map(|place| {
        json_object! {
            "id": place.id, "interface": place.interface, "region_id": place.region_id.clone(), "url": place.url,
            "region": place.region_id,
        }
    });
    json_object! {
        "endpoints": endpoints.collect::<Json>(), "id": service.id, "type": service.service_type, "name": service.name,
    }
}
