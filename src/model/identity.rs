//! Domains, projects, users, roles and what else Identity administers, as they are kept. Logging in is in the room `identity`.

use super::ids::{DomainId, ProjectId, RoleId, UserId};
use super::time::Timestamp;
use crate::json::Object;

/// An id and the name that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
}

impl Named {
    /// This id and this name.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Named {
        Named { id: id.into(), name: name.into() }
    }
}

/// A domain: a name space of users and projects.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    /// Which.
    pub id: DomainId,
    /// Unique.
    pub name: String,
    /// What for.
    pub description: String,
    /// Whether anybody of it may log in.
    pub enabled: bool,
    /// Members that clients have added.
    pub extra: Object,
}

/// A project: what servers and images belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Which.
    pub id: ProjectId,
    /// Where it belongs.
    pub domain_id: DomainId,
    /// Unique in its domain.
    pub name: String,
    /// What for.
    pub description: String,
    /// Whether tokens for it are good.
    pub enabled: bool,
    /// The project above it, or its domain.
    pub parent_id: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Members that clients have added.
    pub extra: Object,
}

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// Where they belong.
    pub domain_id: DomainId,
    /// Unique in their domain.
    pub name: String,
    /// Whether they may log in.
    pub enabled: bool,
    /// The project their tokens are for where they ask for none.
    pub default_project_id: Option<String>,
    /// Members that clients have added: `email`, `description`.
    pub extra: Object,
}

/// A role.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Which.
    pub id: RoleId,
    /// The domain it is for; `None` for roles that tokens have.
    pub domain_id: Option<String>,
    /// Unique in its domain.
    pub name: String,
    /// What for.
    pub description: Option<String>,
    /// Members that clients have added.
    pub extra: Object,
}

/// What a grant is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A project.
    Project,
    /// A domain.
    Domain,
    /// The system.
    System,
}

impl Ground {
    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Ground::Project => "project",
            Ground::Domain => "domain",
            Ground::System => "system",
        }
    }
}

/// A service of the catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Which.
    pub id: String,
    /// `compute`, `image`…
    pub service_type: String,
    /// `nova`, `glance`…; may be empty.
    pub name: String,
    /// What for; may be empty.
    pub description: String,
    /// Whether the catalog shows it.
    pub enabled: bool,
    /// Members that clients have added.
    pub extra: Object,
}

/// Where a service is found.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogEndpoint {
    /// Which.
    pub id: String,
    /// The service.
    pub service_id: String,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// The URL, with gaps such as `$(project_id)s`.
    pub url: String,
    /// The region.
    pub region_id: Option<String>,
    /// Whether the catalog shows it.
    pub enabled: bool,
    /// A name; may be empty.
    pub name: String,
    /// Members that clients have added.
    pub extra: Object,
}

/// A region.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its id is its name.
    pub id: String,
    /// What for; may be empty.
    pub description: String,
    /// The region around it.
    pub parent_region_id: Option<String>,
    /// Members that clients have added.
    pub extra: Object,
}

/// An application credential, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationCredential {
    /// Which.
    pub id: String,
    /// Whose.
    pub user_id: UserId,
    /// What its tokens are for.
    pub project_id: ProjectId,
    /// Unique among its owner's.
    pub name: String,
    /// What for.
    pub description: Option<String>,
    /// The roles it was given.
    pub role_ids: Vec<String>,
    /// Whether its tokens may manage application credentials.
    pub unrestricted: bool,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// What was asked for by an id, whether or not it is there: Keystone asks the rule first, so that who may not know of a thing
/// cannot tell whether there is one.
#[derive(Debug, Clone)]
pub struct Sought<T> {
    /// The id that was asked for.
    pub id: String,
    /// What is there.
    pub found: Option<T>,
}

/// A user who is to be made, as far as rules may ask.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The domain in the request.
    pub domain_id: Option<String>,
}

/// A project that is to be made, as far as rules may ask.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// The domain in the request.
    pub domain_id: Option<String>,
}

/// A list, of which a caller from a domain sees the part that is in it.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The domain of the caller's token.
    pub domain_id: Option<DomainId>,
}

/// What belongs to a user: application credentials, projects.
#[derive(Debug, Clone)]
pub struct OfUser {
    /// The user.
    pub user_id: String,
}

/// A grant that is there or is to be made, with all it names, as far as that is there.
#[derive(Debug, Clone)]
pub struct GrantSought {
    /// What it is on.
    pub ground: Ground,
    /// The id of what it is on; `all` for the system.
    pub ground_id: String,
    /// The id of the user.
    pub user_id: String,
    /// The id of the role; empty where all are meant.
    pub role_id: String,
    /// The user.
    pub user: Option<User>,
    /// The project, where it is on one.
    pub project: Option<Project>,
    /// The domain, where it is on one.
    pub domain: Option<Domain>,
    /// The role.
    pub role: Option<Role>,
}

/// A token that is looked at, validated or revoked: not the one of the caller, though it may be the same.
#[derive(Debug, Clone)]
pub struct SubjectToken {
    /// Whose it is.
    pub user_id: UserId,
    /// Its text.
    pub text: String,
}
