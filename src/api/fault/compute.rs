//! Compute's errors in the words of Nova, and of Cloud Servers where it has others. No `_`: a new way to fail asks here what
//! the client will read.

use super::Fault;
use crate::api::dialect::Dialect;
use crate::compute::flavors::{Access, FlavorError};
use crate::compute::key_pairs::KeyPairError;
use crate::compute::quota_sets::{Bound, QuotaError};
use crate::compute::{BadMetadata, Error};

/// What a client reads.
pub fn fault(error: &Error, dialect: &Dialect) -> Fault {
    match error {
        Error::ServerNotFound(_) if dialect.is_cloud_servers => Fault::not_found("Server does not exist"),
        Error::ServerNotFound(id) => Fault::not_found(format!("Instance {id} could not be found.")),
        Error::MetadataItemNotFound => Fault::not_found("Metadata item was not found"),
        Error::UriMismatch => Fault::bad_request("Request body and URI mismatch"),
        Error::MalformedBody => Fault::bad_request("Malformed request body"),
        Error::BadMetadata(bad) => bad_metadata(*bad),
        Error::Locked(server) => Fault::conflict(format!("Instance {server} is locked")),
        Error::LockedFor(server, action) => {
            let server = server.to_string();
            Fault::conflict(action.locked_sentence(&server).unwrap_or_else(|| format!("Instance {server} is locked")))
        }
        Error::State(server, action, refusal) => Fault::conflict(refusal.sentence(*action, &server.to_string())),
        Error::TooManyItems { told } => {
            Fault::over_quota(dialect, format!("Maximum number of metadata items exceeds {told}"))
        }
        Error::Flavor(error) => flavor(error),
        Error::KeyPair(error) => key_pair(error),
        Error::Quota(error) => quota(error),
        Error::Servers(refusal) => super::servers::fault(refusal, dialect),
        Error::Store(error) => super::store(error),
    }
}

fn flavor(error: &FlavorError) -> Fault {
    match error {
        FlavorError::NotFound(id) => Fault::not_found(format!("Flavor {id} could not be found.")),
        FlavorError::NameExists(name) => Fault::conflict(format!("Flavor with name {name} already exists.")),
        FlavorError::IdExists(id) => Fault::conflict(format!("Flavor with ID {id} already exists.")),
        FlavorError::NoListOfPublic => Fault::not_found("Access list not available for public flavors."),
        FlavorError::NoAccessToPublic => Fault::conflict("Can not add access to a public flavor."),
        FlavorError::AccessExists(Access { flavor, project }) => Fault::conflict(format!(
            "Flavor access already exists for flavor {flavor} and project {project} combination."
        )),
        FlavorError::AccessNotFound(Access { flavor, project }) => {
            Fault::not_found(format!("Flavor access not found for {flavor} / {project} combination."))
        }
        FlavorError::ExtraSpecNotFound { flavor, key } => {
            Fault::not_found(format!("Flavor {flavor} has no extra specs with key {key}."))
        }
    }
}

/// The sentences of Nova before its schemas, which Cloud Servers kept (metadata.md §8).
fn bad_metadata(bad: BadMetadata) -> Fault {
    let malformed = |what: &str| Fault::bad_request(format!("Malformed request body. {what} must be object"));
    let too_long = |what: &str| {
        Fault::over_limit(format!("Invalid metadata size: Metadata property {what} greater than 255 characters"))
    };
    match bad {
        BadMetadata::NotAMap => malformed("metadata"),
        BadMetadata::NotAnItem => malformed("meta item"),
        BadMetadata::SeveralItems => Fault::bad_request("Request body contains too many items"),
        BadMetadata::NotText => Fault::bad_request("Invalid metadata: The input is not a string or unicode"),
        BadMetadata::EmptyKey => {
            Fault::bad_request("Invalid metadata: The input has a minimum character requirement of 1.")
        }
        BadMetadata::LongKey => too_long("key"),
        BadMetadata::LongValue => too_long("value"),
    }
}

fn quota(error: &QuotaError) -> Fault {
    match error {
        QuotaError::ProjectNotFound(id) => Fault::bad_request(format!("Project ID {id} is not a valid project.")),
        QuotaError::TooLow(Bound { resource, limit, bound }) => Fault::bad_request(format!(
            "Quota limit {limit} for {resource} must be greater than or equal to already used and reserved {bound}."
        )),
        QuotaError::TooHigh(Bound { resource, limit, bound }) => {
            Fault::bad_request(format!("Quota limit {limit} for {resource} must be less than or equal to {bound}."))
        }
    }
}

fn key_pair(error: &KeyPairError) -> Fault {
    match error {
        KeyPairError::NotFound { name, user } => Fault::not_found(format!("Keypair {name} not found for user {user}")),
        KeyPairError::Exists(name) => Fault::conflict(format!("Key pair '{name}' already exists.")),
        KeyPairError::TooMany => Fault::forbidden("Quota exceeded, too many key pairs."),
        KeyPairError::NotAKey => Fault::bad_request("Keypair data is invalid: failed to generate fingerprint"),
        KeyPairError::NotSupported => {
            Fault::bad_request("Keypair data is invalid: certificates of type x509 are not supported by this cloud")
        }
    }
}
