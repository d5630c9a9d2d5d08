//! The doors of the house, as data: where each stands, and in what the two dialects of Compute differ. Nothing here decides.

use std::borrow::Cow;

/// Which API a request speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// Nova, and Cloud Servers beside it.
    Compute,
    /// Keystone.
    Identity,
    /// Glance.
    Image,
    /// Neutron, as far as clients insist on it.
    Network,
}

impl Api {
    /// All of them, in the order in which documents show them.
    pub const ALL: [Api; 4] = [Api::Compute, Api::Identity, Api::Image, Api::Network];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Api::Compute => "Compute",
            Api::Identity => "Identity",
            Api::Image => "Image",
            Api::Network => "Network",
        }
    }

    /// The path before all of its routes, at the door that documents name.
    pub fn prefix(self) -> &'static str {
        match self {
            Api::Compute => OPENSTACK.prefix,
            Api::Identity => IDENTITY.prefix,
            Api::Image => IMAGE.prefix,
            Api::Network => NETWORK.prefix,
        }
    }
}

/// How a door behaves.
#[derive(Debug)]
pub struct Dialect {
    /// Which API's rows are behind it.
    pub api: Api,
    /// The path before all of its routes.
    pub prefix: &'static str,
    /// Whether microversions exist here (OpenStack Compute v2.1 only).
    pub has_microversions: bool,
    /// Whether a project may stand between prefix and route.
    pub takes_project: bool,
    /// Whether a request without a token is refused before anybody looks whether its path exists.
    pub asks_for_token_first: bool,
    /// Whether HEAD is answered as GET without the body; Nova does not.
    pub answers_head: bool,
    /// Whether bytes beyond ASCII in a path are Latin-1 characters, as WSGI hands them to Nova, or UTF-8.
    pub path_is_latin1: bool,
    /// Whether this is Rackspace's Cloud Servers: unknown members ignored, image keys folded, its own sentences and limits.
    pub is_cloud_servers: bool,
}

impl Dialect {
    /// A key of an image's metadata as this dialect tells it: Cloud Servers knows lower case only.
    pub fn image_key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        if self.is_cloud_servers { key.to_ascii_lowercase().into() } else { key.into() }
    }

    /// Whether tokens are looked at by keystonemiddleware, which has a form of 401 of its own. Cloud Servers says it as any
    /// other fault of its own.
    pub fn has_keystone_in_front(&self) -> bool {
        self.api != Api::Identity && !self.is_cloud_servers
    }
}

const COMPUTE: Dialect = Dialect {
    api: Api::Compute,
    prefix: "/v2.1",
    has_microversions: true,
    takes_project: true,
    asks_for_token_first: true,
    answers_head: false,
    path_is_latin1: true,
    is_cloud_servers: false,
};

const OTHER: Dialect = Dialect {
    api: Api::Identity,
    prefix: "/identity",
    has_microversions: false,
    takes_project: false,
    asks_for_token_first: false,
    answers_head: true,
    path_is_latin1: false,
    is_cloud_servers: false,
};

/// OpenStack Compute v2.1.
pub static OPENSTACK: Dialect = COMPUTE;
/// Cloud Servers v2, where Nova has its legacy-compatible endpoint.
pub static CLOUD_SERVERS: Dialect =
    Dialect { prefix: "/v2", has_microversions: false, is_cloud_servers: true, ..COMPUTE };
/// Identity v3 and v2.0.
pub static IDENTITY: Dialect = OTHER;
/// Image v2.
pub static IMAGE: Dialect = Dialect { api: Api::Image, prefix: "/image", asks_for_token_first: true, ..OTHER };
/// Network v2.0.
pub static NETWORK: Dialect = Dialect { api: Api::Network, prefix: "/network", asks_for_token_first: true, ..OTHER };
/// What is left: the version list at `/`, and paths that name no door.
pub static ROOT: Dialect =
    Dialect { prefix: "", has_microversions: false, takes_project: false, asks_for_token_first: false, ..COMPUTE };

/// The door a path stands before, and the rest of the path; the rest is empty or begins with a slash.
pub fn door(path: &str) -> (&'static Dialect, &str) {
    for dialect in [&OPENSTACK, &CLOUD_SERVERS, &IDENTITY, &IMAGE, &NETWORK] {
        if let Some(rest) = path.strip_prefix(dialect.prefix)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return (dialect, rest);
        }
    }
    (&ROOT, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_whole_segment() {
        for (path, prefix, rest) in [
            ("/v2.1/servers", "/v2.1", "/servers"),
            ("/v2/servers", "/v2", "/servers"),
            ("/v2.1", "/v2.1", ""),
            ("/v2.10", "", "/v2.10"),
            ("/identity/v3", "/identity", "/v3"),
            ("/", "", "/"),
        ] {
            let (dialect, tail) = door(path);
            assert_eq!((dialect.prefix, tail), (prefix, rest), "{path}");
        }
    }
}
