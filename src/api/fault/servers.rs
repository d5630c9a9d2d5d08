//! Why a server cannot be made or made otherwise, in the words of Nova.

use super::Fault;
use crate::api::dialect::Dialect;
use crate::compute::servers::Refusal;

/// What a client reads.
pub fn fault(refusal: &Refusal, dialect: &Dialect) -> Fault {
    match refusal {
        Refusal::ZoneNotAvailable => Fault::bad_request("The requested availability zone is not available"),
        Refusal::OneHostnameForMany => Fault::bad_request("Unable to allocate a single hostname to multiple instances"),
        Refusal::FlavorNotFound(id) => Fault::bad_request(format!("Flavor {id} could not be found.")),
        Refusal::ImageNotFound => Fault::bad_request("Can not find requested image"),
        Refusal::ImageForRebuildNotFound => Fault::bad_request("Cannot find image for rebuild"),
        Refusal::ImageNotActive(id) => Fault::bad_request(format!("Image {id} is not active.")),
        Refusal::DiskConfigDisabled(id) => {
            Fault::bad_request(format!("Requested image {id} has automatic disk resize disabled."))
        }
        Refusal::MemoryTooSmall => Fault::bad_request("Flavor's memory is too small for requested image."),
        Refusal::DiskSmallerThanImage(flavor, image) => Fault::bad_request(format!(
            "Flavor's disk is too small for requested image. Flavor disk is {flavor} bytes, image is {image} bytes."
        )),
        Refusal::DiskSmallerThanMinimum(flavor, minimum) => Fault::bad_request(format!(
            "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {flavor} bytes, \
             minimum size is {minimum} bytes."
        )),
        Refusal::NoDisk => Fault::forbidden("Only volume-backed servers are allowed for flavors with zero disk."),
        Refusal::KeyPairNotFound => Fault::bad_request("Invalid key_name provided."),
        Refusal::UserDataMalformed => Fault::bad_request("User data needs to be valid base 64."),
        Refusal::NetworkNotFound(id) => Fault::bad_request(format!("Network {id} could not be found.")),
        Refusal::PortNotFound(id) => Fault::bad_request(format!("Port id {id} could not be found.")),
        Refusal::SecurityGroupNotFound(name) => {
            Fault::bad_request(format!("Unable to find security_group with name or id '{name}'"))
        }
        Refusal::GroupNotFound(id) => Fault::bad_request(format!("Instance group {id} could not be found.")),
        Refusal::TooManyFiles => Fault::over_quota(dialect, "Personality file limit exceeded"),
        Refusal::FilePathTooLong(limit) => {
            Fault::over_quota(dialect, format!("Personality file path exceeds maximum {limit}"))
        }
        Refusal::FileTooLong(limit) => {
            Fault::over_quota(dialect, format!("Personality file content exceeds maximum {limit}"))
        }
        Refusal::OverQuota(over) => Fault::over_quota(
            dialect,
            format!(
                "Quota exceeded for {}: Requested {}, but already used {} of {} {}",
                over.overs, over.requested, over.used, over.allowed, over.overs
            ),
        ),
        Refusal::RescueImageNotFound(id) => {
            Fault::bad_request(format!("Requested rescue image '{id}' is not supported"))
        }
        Refusal::TooManyImageProperties => Fault::over_quota(dialect, "Image metadata limit exceeded"),
        Refusal::NotOffloaded(id, status) => Fault::conflict(format!(
            "Specifying an availability zone or a host when unshelving server \"{id}\" with status \"{status}\" is not supported. \
             The server status must be SHELVED_OFFLOADED."
        )),
        Refusal::HostNotFound(host) => Fault::bad_request(format!("Compute host {host} could not be found.")),
        Refusal::SameFlavor => Fault::bad_request("When resizing, instances must change flavor!"),
        Refusal::NoDiskToResizeTo => Fault::bad_request(
            "Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.",
        ),
        Refusal::NotResized => Fault::bad_request("Instance has not been resized."),
        Refusal::MayNotShrink => Fault::bad_request(
            "Server disk was unable to be resized because: Resize to a smaller disk needs a disk configuration of AUTO.",
        ),
    }
}
