//! Identity's errors in the words of Keystone (keystone/exception.py).

use http::StatusCode;

use super::Fault;
use crate::identity::error::{Barred, Conflict, Error, Kind};
use crate::identity::password::PasswordError;

/// Seconds after which a client that met too many logins may try again.
const PASSWORD_RETRY_SECONDS: u64 = 2;

/// What a client reads.
pub fn fault(error: &Error) -> Fault {
    match error {
        Error::Store(error) => super::store(error),
        Error::Password(PasswordError::Busy) => Fault::unavailable(PASSWORD_RETRY_SECONDS),
        Error::Password(PasswordError::BadHash | PasswordError::Defect) => Fault::defect(),
        Error::Unauthorized => unauthorized("The request you have made requires authentication."),
        Error::UnsupportedMethod => unauthorized("Attempted to authenticate with an unsupported method."),
        Error::CredentialWithScope => unauthorized(
            "Error authenticating with application credential: Application credentials cannot request a scope.",
        ),
        Error::NotFound(kind, id) => Fault::not_found(not_found(*kind, id)),
        Error::NotGranted { role, user, on } => Fault::not_found(format!(
            "Could not find role assignment with role: {role}, user or group: {user}, project, domain, or system: {on}."
        )),
        Error::NotFoundInBody(kind, id) => Fault::bad_request(not_found(*kind, id)),
        Error::Duplicate(conflict) => Fault::conflict(duplicate(conflict)),
        Error::Missing { attribute, of } => Fault::bad_request(format!(
            "Expecting to find {attribute} in {of}. The server could not comply with the request since it is either malformed or \
             otherwise incorrect. The client is assumed to be in error."
        )),
        Error::Senseless(sentence) => Fault::bad_request(*sentence),
        Error::SenselessValue(before, value) => Fault::bad_request(format!("{before}{value}")),
        Error::Forbidden(barred) => Fault::forbidden(forbidden(barred)),
    }
}

fn unauthorized(sentence: &str) -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, sentence)
}

fn not_found(kind: Kind, id: &str) -> String {
    let kind = match kind {
        Kind::Domain => "domain",
        Kind::Project => "project",
        Kind::User => "user",
        Kind::Role => "role",
        Kind::Service => "service",
        Kind::Endpoint => "endpoint",
        Kind::Region => "region",
        Kind::ApplicationCredential => "Application Credential",
        Kind::Token => "token",
    };
    format!("Could not find {kind}: {id}.")
}

fn duplicate(conflict: &Conflict) -> String {
    let (kind, details) = match conflict {
        Conflict::Domain(name) => (
            "project",
            format!("it is not permitted to have two projects acting as domains with the same name: {name}"),
        ),
        Conflict::Project { name, id } => (
            "project",
            format!(
                "it is not permitted to have two projects with either the same name or same id in the same domain: name is {name}, \
                 project id {id}"
            ),
        ),
        Conflict::User { name, domain_id } => {
            ("user", format!("Duplicate entry found with name {name} at domain ID {domain_id}"))
        }
        Conflict::Role(name) => ("role", format!("Duplicate entry found with name {name}")),
        Conflict::Region(id) => ("region", format!("Duplicate ID, {id}.")),
        Conflict::ApplicationCredential(name) => {
            ("application_credential", format!("Duplicate entry found with name {name}"))
        }
        Conflict::Implication => ("implied_role", "Duplicate entry".to_owned()),
    };
    format!("Conflict occurred attempting to store {kind} - {details}.")
}

fn forbidden(barred: &Barred) -> String {
    let action = match barred {
        Barred::DomainEnabled => {
            return "Cannot delete a domain that is enabled, please disable it first.".into();
        }
        Barred::NotALeaf(id) => {
            return format!(
                "Cannot delete the project {id} since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a \
                 whole subtree."
            );
        }
        Barred::RegionInUse(id) => {
            return format!("Unable to delete region {id} because it or its child regions have associated endpoints.");
        }
        Barred::ParentMoves => return "Update of `parent_id` is not allowed.".into(),
        Barred::Implication(role) => return format!("{role} cannot be an implied roles."),
        Barred::NeedsProject => return "You are not authorized to perform the requested action.".into(),
        Barred::RestrictedCredential => {
            "Using method 'application_credential' is not allowed for managing additional application credentials."
        }
        Barred::CredentialOfAnother => "Cannot create an application credential for another user.",
        Barred::SystemToProject => {
            "Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed."
        }
        Barred::CredentialToScope => "Using an application credential token to create a scoped token is not allowed.",
    };
    format!("You are not authorized to perform the requested action: {action}.")
}
