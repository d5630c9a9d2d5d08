//! Compute's errors in the words of Nova, and of Cloud Servers where it has others. No `_`: a new way to fail asks here what
//! the client will read.

use super::Fault;
use crate::api::dialect::Dialect;
use crate::compute::Error;

/// What a client reads.
pub fn fault(error: &Error, dialect: &Dialect) -> Fault {
    match error {
        Error::ServerNotFound(_) if dialect.is_cloud_servers => Fault::not_found("Server does not exist"),
        Error::ServerNotFound(id) => Fault::not_found(format!("Instance {id} could not be found.")),
        Error::MetadataItemNotFound => Fault::not_found("Metadata item was not found"),
        Error::UriMismatch => Fault::bad_request("Request body and URI mismatch"),
        Error::MalformedBody => Fault::bad_request("Malformed request body"),
        Error::Locked(server) => Fault::conflict(format!("Instance {server} is locked")),
        Error::State(server, action, refusal) => Fault::conflict(refusal.sentence(*action, &server.to_string())),
        Error::TooManyItems { told } => Fault::forbidden(format!("Maximum number of metadata items exceeds {told}")),
        Error::Store(error) => super::store(error),
    }
}
