//! From a claim to a token, in three steps: look up what the claim must fit, check it (elsewhere: it takes long), and seal what
//! was proven. Whoever does not exist is looked up and checked like everybody else, so that nobody learns who does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Error;
use super::standing::{self, Standing};
use super::token::{Method, Methods, Scope, Token};
use crate::model::moment::Moment;
use crate::store::identity::{self as rows, ActiveProject, ActiveUser, CredentialInUse};
use crate::store::{StoreError, Tx};

/// A domain as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DomainName {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// A user or a project as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// By id.
    Id(String),
    /// By name, in a domain.
    In(String, DomainName),
}

/// An application credential as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CredentialName {
    /// By id.
    Id(String),
    /// By owner and name.
    Of(Name, String),
}

/// What a token shall be good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// The user's default project if they have one that is good, else nothing.
    Default,
    /// Nothing but choosing a scope.
    Unscoped,
    /// A project.
    Project(Name),
    /// The first project the user has a role on, unless they have a default: what Identity v2.0 does.
    AnyProject,
    /// A project of the user's by id or name, wherever it is: Identity v2.0 knows no domains.
    Tenant(String),
    /// A domain.
    Domain(DomainName),
    /// The system.
    System,
}

/// Who has proven who they are, and how.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The user's id.
    pub user_id: String,
    /// The hash that was fitted, which must not have changed since.
    pub fitted: Fitted,
    /// How.
    pub methods: Methods,
    /// The token that was shown.
    pub parent: Option<Token>,
}

/// The hash a secret was found to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitted {
    /// None: only a token was shown.
    Nothing,
    /// A user's password.
    Password(String),
    /// A user's API key.
    ApiKey(String),
    /// The secret of this application credential.
    Credential {
        /// Its id.
        id: String,
        /// The hash.
        hash: String,
    },
}

/// The user that a claim names, if they may log in.
///
/// # Errors
/// The store's.
pub fn user(tx: &mut dyn Tx, name: &Name) -> Result<Option<ActiveUser>, StoreError> {
    match name {
        Name::Id(id) => rows::active_user(tx, id),
        Name::In(name, domain) => match domain_id(tx, domain)? {
            Some(domain) => rows::active_user_named(tx, name, &domain),
            None => {
                // looked for all the same: the time of the answer tells nobody which domains there are
                rows::active_user_named(tx, name, "")?;
                Ok(None)
            }
        },
    }
}

/// The application credential that a claim names.
///
/// # Errors
/// The store's.
pub fn credential(tx: &mut dyn Tx, name: &CredentialName) -> Result<Option<CredentialInUse>, StoreError> {
    match name {
        CredentialName::Id(id) => rows::credential(tx, id),
        CredentialName::Of(owner, name) => match user(tx, owner)? {
            Some(owner) => rows::credential_named(tx, &owner.id, name),
            None => Ok(None),
        },
    }
}

fn domain_id(tx: &mut dyn Tx, name: &DomainName) -> Result<Option<String>, StoreError> {
    let found = match name {
        DomainName::Id(id) => rows::active_domain(tx, id)?,
        DomainName::Name(name) => rows::active_domain_named(tx, name)?,
    };
    Ok(found.map(|domain| domain.id))
}

fn project(tx: &mut dyn Tx, name: &Name) -> Result<Option<ActiveProject>, StoreError> {
    match name {
        Name::Id(id) => rows::active_project(tx, id),
        Name::In(name, domain) => match domain_id(tx, domain)? {
            Some(domain) => rows::active_project_named(tx, name, &domain),
            None => Ok(None),
        },
    }
}

/// Makes a token for whoever has proven who they are.
///
/// # Errors
/// `Unauthorized` where what was proven no longer holds, or the wish cannot be granted.
pub fn admit(
    tx: &mut dyn Tx,
    moment: &mut Moment,
    proven: &Proven,
    wish: &Wish,
    life_seconds: i64,
) -> Result<(Token, Standing), Error> {
    let user = rows::active_user(tx, &proven.user_id)?.ok_or(Error::Unauthorized)?;
    let credential = still_fits(tx, proven, &user)?;
    if let Some(parent) = &proven.parent {
        standing::standing(tx, parent)?.ok_or(Error::Unauthorized)?;
    }
    let scope = scope(tx, &user, credential.as_ref(), wish)?;
    let (ground, roles) = standing::footing(tx, &user, &scope, credential.as_ref())?.ok_or(Error::Unauthorized)?;
    let token = token(moment, proven, &user, credential.as_ref(), scope, life_seconds);
    if token.expires_at <= moment.now.seconds() {
        return Err(Error::Unauthorized);
    }
    Ok((token, Standing { user, ground, roles, credential }))
}

/// That the hash which was fitted is still the one, now that it is known to fit; and the credential it is of.
fn still_fits(tx: &mut dyn Tx, proven: &Proven, user: &ActiveUser) -> Result<Option<CredentialInUse>, Error> {
    match &proven.fitted {
        Fitted::Password(hash) if user.password_hash.as_ref() == Some(hash) => Ok(None),
        Fitted::ApiKey(hash) if user.api_key_hash.as_ref() == Some(hash) => Ok(None),
        Fitted::Credential { id, hash } => {
            let found =
                rows::credential(tx, id)?.filter(|found| found.secret_hash == *hash && found.user_id == user.id);
            Ok(Some(found.ok_or(Error::Unauthorized)?))
        }
        Fitted::Nothing => match proven.parent.as_ref().and_then(|parent| parent.application_credential_id.as_ref()) {
            Some(id) => Ok(Some(rows::credential(tx, id)?.ok_or(Error::Unauthorized)?)),
            None => Ok(None),
        },
        Fitted::Password(_) | Fitted::ApiKey(_) => Err(Error::Unauthorized),
    }
}

fn scope(
    tx: &mut dyn Tx,
    user: &ActiveUser,
    credential: Option<&CredentialInUse>,
    wish: &Wish,
) -> Result<Scope, Error> {
    if let Some(credential) = credential {
        return Ok(Scope::Project(credential.project_id.as_str().to_owned()));
    }
    let found = match wish {
        Wish::Unscoped => Some(Scope::Unscoped),
        Wish::System => Some(Scope::System),
        Wish::Domain(domain) => domain_id(tx, domain)?.map(Scope::Domain),
        Wish::Project(name) => project(tx, name)?.map(project_scope),
        Wish::Default => Some(default_scope(tx, user)?),
        Wish::AnyProject => match default_scope(tx, user)? {
            Scope::Unscoped => rows::active_projects_of(tx, &user.id)?.into_iter().next().map(project_scope),
            scope => Some(scope),
        },
        Wish::Tenant(tenant) => {
            let mut projects = rows::active_projects_of(tx, &user.id)?;
            // an id before a name, and of two projects of one name that of the user's own domain
            projects.sort_by_key(|project| (project.id.as_str() != tenant, project.domain.id != user.domain.id));
            let found = projects.into_iter().find(|project| project.id.as_str() == tenant || project.name == *tenant);
            found.map(project_scope)
        }
    };
    found.ok_or(Error::Unauthorized)
}

fn project_scope(project: ActiveProject) -> Scope {
    Scope::Project(project.id.as_str().to_owned())
}

/// The user's default project, where a token for it would be good.
fn default_scope(tx: &mut dyn Tx, user: &ActiveUser) -> Result<Scope, StoreError> {
    let Some(id) = &user.default_project_id else { return Ok(Scope::Unscoped) };
    let scope = Scope::Project(id.clone());
    Ok(if standing::footing(tx, user, &scope, None)?.is_some() { scope } else { Scope::Unscoped })
}

fn token(
    moment: &mut Moment,
    proven: &Proven,
    user: &ActiveUser,
    credential: Option<&CredentialInUse>,
    scope: Scope,
    life_seconds: i64,
) -> Token {
    // A password that was changed a moment ago has voided the tokens of this very second; a new one begins with the next.
    let issued_at = moment.now.seconds().max(user.tokens_valid_from_seconds);
    let fresh = issued_at.saturating_add(life_seconds);
    // rescoping does not make a token live longer, nor does one outlive its credential
    let expires_at = proven.parent.as_ref().map_or(fresh, |parent| parent.expires_at);
    let expires_at =
        credential.and_then(|credential| credential.expires_at_seconds).map_or(expires_at, |end| end.min(expires_at));
    let mut audit_ids = vec![URL_SAFE_NO_PAD.encode(moment.id())];
    audit_ids.extend(proven.parent.as_ref().and_then(|parent| parent.audit_ids.last().cloned()));
    let mut methods = proven.methods;
    if let Some(parent) = &proven.parent {
        methods = parent.methods.iter().fold(methods.with(Method::Token), Methods::with);
    }
    Token {
        user_id: user.id.as_str().to_owned(),
        scope,
        methods,
        issued_at,
        expires_at,
        audit_ids,
        application_credential_id: credential.map(|credential| credential.id.clone()),
    }
}
