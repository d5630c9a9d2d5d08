//! What a token stands for at this moment: everything it names must still be there, enabled, and granted.
//! Not here: opening the text of a token, and who may look at one.

use super::token::{Scope, Token};
use crate::model::identity::Named;
use crate::policy::Caller;
use crate::store::identity::{self as rows, ActiveProject, ActiveUser, CredentialInUse};
use crate::store::{StoreError, Tx};

/// What a token stands for.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whose it is.
    pub user: ActiveUser,
    /// What it is good for.
    pub ground: Footing,
    /// With which roles.
    pub roles: Vec<Named>,
    /// The application credential behind it.
    pub credential: Option<CredentialInUse>,
}

/// The scope of a token, with names.
#[derive(Debug, Clone)]
pub enum Footing {
    /// For choosing a scope.
    Unscoped,
    /// A project.
    Project(ActiveProject),
    /// A domain.
    Domain(Named),
    /// The system.
    System,
}

impl Footing {
    /// The project, if it is one.
    pub fn project(&self) -> Option<&ActiveProject> {
        match self {
            Footing::Project(project) => Some(project),
            Footing::Unscoped | Footing::Domain(_) | Footing::System => None,
        }
    }
}

/// What a token stands for; `None` where it stands for nothing any more.
///
/// # Errors
/// The store's.
pub fn standing(tx: &mut dyn Tx, token: &Token) -> Result<Option<Standing>, StoreError> {
    let Some(user) = rows::active_user(tx, &token.user_id)? else { return Ok(None) };
    // its own audit id only: revoking a token leaves those that were got with it (Keystone's revoke_by_audit_id)
    let own_audit_id = token.audit_ids.first().map_or("", String::as_str);
    if token.issued_at < user.tokens_valid_from_seconds || rows::is_revoked(tx, own_audit_id)? {
        return Ok(None);
    }
    let credential = match &token.application_credential_id {
        None => None,
        Some(id) => match rows::credential(tx, id)?.filter(|credential| credential.user_id == user.id) {
            None => return Ok(None),
            found => found,
        },
    };
    let Some((ground, roles)) = footing(tx, &user, &token.scope, credential.as_ref())? else { return Ok(None) };
    Ok(Some(Standing { user, ground, roles, credential }))
}

/// The scope and the roles a user has there; `None` where it is not there, is disabled, or they have none.
///
/// # Errors
/// The store's.
pub fn footing(
    tx: &mut dyn Tx,
    user: &ActiveUser,
    scope: &Scope,
    credential: Option<&CredentialInUse>,
) -> Result<Option<(Footing, Vec<Named>)>, StoreError> {
    let (ground, kind, id) = match scope {
        Scope::Unscoped => return Ok(credential.is_none().then_some((Footing::Unscoped, Vec::new()))),
        Scope::Project(id) => {
            let Some(project) = rows::active_project(tx, id)? else { return Ok(None) };
            (Footing::Project(project), "project", id.as_str())
        }
        Scope::Domain(id) => {
            let Some(domain) = rows::active_domain(tx, id)? else { return Ok(None) };
            (Footing::Domain(domain), "domain", id.as_str())
        }
        Scope::System => (Footing::System, "system", "all"),
    };
    let roles = match credential {
        None => rows::held_roles(tx, &user.id, kind, id)?,
        Some(credential) if kind == "project" && credential.project_id.as_str() == id => {
            rows::roles_of_credential(tx, credential)?
        }
        Some(_) => Vec::new(),
    };
    Ok((!roles.is_empty()).then_some((ground, roles)))
}

impl Standing {
    /// The caller whom the token proves; `is_admin` is not decided yet.
    ///
    /// # Errors
    /// `Damaged` where an id is none.
    pub fn into_caller(self, token: &Token) -> Result<Caller, StoreError> {
        let project = self.ground.project();
        let domain_id = match &self.ground {
            Footing::Domain(domain) => Some(rows::domain_id(domain)?),
            Footing::Unscoped | Footing::Project(_) | Footing::System => None,
        };
        Ok(Caller {
            user_id: self.user.id.clone(),
            user_name: self.user.name.as_str().into(),
            user_domain_id: rows::domain_id(&self.user.domain)?,
            project_id: project.map(|project| project.id.clone()),
            project_domain_id: project.map(|project| rows::domain_id(&project.domain)).transpose()?,
            domain_id,
            system: matches!(self.ground, Footing::System),
            roles: self.roles.iter().map(|role| role.name.clone()).collect(),
            is_admin: false,
            expires_at_seconds: token.expires_at,
            audit_ids: token.audit_ids.iter().map(|id| id.as_str().into()).collect(),
            methods: token.methods.iter().map(|method| method.name().into()).collect(),
            issued_at_seconds: token.issued_at,
            application_credential_id: token.application_credential_id.as_deref().map(Into::into),
        })
    }
}
