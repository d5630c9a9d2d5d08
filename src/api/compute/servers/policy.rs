//! The rules of servers (nova/policies/servers.py and extended_server_attributes.py).

use crate::model::server_record::Server;
use crate::policy::Action;
use crate::policy::targets::Scope;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident($target:ty) = $rule:literal, $default:literal, $words:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Action for $name {
            const RULE: &'static str = $rule;
            const DEFAULT: &'static str = $default;
            const DEPRECATED: Option<&'static str> = $crate::api::compute::servers::policy::deprecated($default);
            const DOC: &'static str = $words;
            type Target = $target;
        }
    )*};
}

/// What a rule was before the new defaults.
pub const fn deprecated(default: &str) -> Option<&'static str> {
    match default.as_bytes() {
        b"rule:context_is_admin" => Some("rule:admin_api"),
        _ => Some("rule:admin_or_owner"),
    }
}

rules! {
    /// Listing.
    Index(Scope) = "os_compute_api:servers:index", "rule:project_reader_or_admin", "List all servers";
    /// Listing in full.
    Detail(Scope) = "os_compute_api:servers:detail", "rule:project_reader_or_admin",
        "List all servers with detailed information";
    /// Listing for all projects.
    IndexAll(Scope) = "os_compute_api:servers:index:get_all_tenants", "rule:context_is_admin",
        "List all servers for all projects";
    /// Listing in full for all projects.
    DetailAll(Scope) = "os_compute_api:servers:detail:get_all_tenants", "rule:context_is_admin",
        "List all servers with detailed information for all projects";
    /// Filters beyond the usual ones.
    AllFilters(Scope) = "os_compute_api:servers:allow_all_filters", "rule:context_is_admin",
        "Allow all filters when listing servers";
    /// Showing.
    Show(Server) = "os_compute_api:servers:show", "rule:project_reader_or_admin", "Show a server";
    /// Showing the flavor's extra specs.
    ShowExtraSpecs(Server) = "os_compute_api:servers:show:flavor-extra-specs", "rule:project_reader_or_admin",
        "Show the extra specs of the flavor that is embedded in a server (since 2.47)";
    /// Showing how the host is.
    ShowHostStatus(Server) = "os_compute_api:servers:show:host_status", "rule:context_is_admin",
        "Show a server with its host status (since 2.16)";
    /// Showing whether the host is unknown.
    ShowHostUnknown(Server) = "os_compute_api:servers:show:host_status:unknown-only", "rule:context_is_admin",
        "Show a server with its host status, only if that is UNKNOWN (since 2.16)";
    /// Showing what only operators need.
    ShowExtended(Server) = "os_compute_api:os-extended-server-attributes", "rule:context_is_admin",
        "Return extended attributes for server";
    /// Making.
    Create(Scope) = "os_compute_api:servers:create", "rule:project_member_or_admin", "Create a server";
    /// Making on a host by name.
    CreateForcedHost(Scope) = "os_compute_api:servers:create:forced_host", "rule:context_is_admin",
        "Create a server on the specified host and/or node, by zone:host:node";
    /// Making on a host by name, checked.
    CreateRequestedHost(Scope) = "os_compute_api:servers:create:requested_destination", "rule:context_is_admin",
        "Create a server on the requested compute service host and/or hypervisor_hostname (since 2.74)";
    /// Making with a volume.
    CreateWithVolume(Scope) = "os_compute_api:servers:create:attach_volume", "rule:project_member_or_admin",
        "Create a server with the requested volume attached to it";
    /// Making with a network.
    CreateWithNetwork(Scope) = "os_compute_api:servers:create:attach_network", "rule:project_member_or_admin",
        "Create a server with the requested network attached to it";
    /// Making with certificates.
    CreateWithCerts(Scope) = "os_compute_api:servers:create:trusted_certs", "rule:project_member_or_admin",
        "Create a server with trusted image certificate IDs";
    /// Making without a disk.
    CreateWithoutDisk(Scope) = "os_compute_api:servers:create:zero_disk_flavor", "rule:context_is_admin",
        "Create an image-backed server with a flavor that has no root disk";
    /// Changing.
    Update(Server) = "os_compute_api:servers:update", "rule:project_member_or_admin", "Update a server";
    /// Removing.
    Delete(Server) = "os_compute_api:servers:delete", "rule:project_member_or_admin", "Delete a server";
}
