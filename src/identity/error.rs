//! Everything that can keep this room from doing what it was asked, in the domain's words. Only `api/fault` knows codes.

use super::password::PasswordError;
use crate::store::StoreError;

/// Why not.
#[derive(Debug, Clone)]
pub enum Error {
    /// The store.
    Store(StoreError),
    /// Passwords could not be checked or hashed.
    Password(PasswordError),
    /// Nobody has proven who they are, or what they wish is not for them: which one is nobody's business.
    Unauthorized,
    /// A way to log in that there is not.
    UnsupportedMethod,
    /// An application credential is for its own project only.
    CredentialWithScope,
    /// There is no such thing of this kind.
    NotFound(Kind, String),
    /// A user does not have this role there.
    NotGranted {
        /// The role's id.
        role: String,
        /// The user's id.
        user: String,
        /// The id of the project or domain; `all` for the system.
        on: String,
    },
    /// A thing of this kind with this name, or of this domain, is there already.
    Duplicate(Conflict),
    /// A required member is missing.
    Missing {
        /// Which.
        attribute: String,
        /// Of what.
        of: &'static str,
    },
    /// The request cannot be meant.
    Senseless(&'static str),
    /// The request cannot be meant; with the value that shows it.
    SenselessValue(&'static str, String),
    /// What is asked is forbidden by what it is asked about.
    Forbidden(Barred),
    /// The sentence of a lookup that has failed inside a request body: 400, and not 404.
    NotFoundInBody(Kind, String),
}

/// The kinds of things that Identity keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A domain.
    Domain,
    /// A project.
    Project,
    /// A user.
    User,
    /// A role.
    Role,
    /// A service.
    Service,
    /// An endpoint.
    Endpoint,
    /// A region.
    Region,
    /// An application credential.
    ApplicationCredential,
    /// A token.
    Token,
}

/// What was there already.
#[derive(Debug, Clone)]
pub enum Conflict {
    /// A domain of this name.
    Domain(String),
    /// A project of this name in its domain.
    Project {
        /// The name.
        name: String,
        /// The id the new one would have had.
        id: String,
    },
    /// A user of this name in this domain.
    User {
        /// The name.
        name: String,
        /// The domain.
        domain_id: String,
    },
    /// A role of this name.
    Role(String),
    /// A region of this id.
    Region(String),
    /// An application credential of this name.
    ApplicationCredential(String),
    /// This implication.
    Implication,
}

/// Why something may not be done, whoever asks.
#[derive(Debug, Clone)]
pub enum Barred {
    /// A domain must be disabled before it is deleted.
    DomainEnabled,
    /// There are projects below this one.
    NotALeaf(String),
    /// A region or one inside it has endpoints.
    RegionInUse(String),
    /// A restricted application credential may not manage others.
    RestrictedCredential,
    /// For oneself only.
    CredentialOfAnother,
    /// `parent_id` cannot be changed.
    ParentMoves,
    /// A token for a project is needed.
    NeedsProject,
    /// From a system token there is no way to a project or domain.
    SystemToProject,
    /// From an application credential's token there is no way to another scope.
    CredentialToScope,
    /// A role cannot imply this one.
    Implication(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        Error::Password(error)
    }
}
