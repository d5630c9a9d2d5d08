//! The SQL of identity that logging in and every request may need: who a token stands for. Administration has files of its own.

use super::{StoreError, Tx, malformed, parsed, parsed_or_null};
use crate::model::identity::Named;
use crate::model::ids::{DomainId, ProjectId, UserId};

/// A user who is enabled, in a domain that is.
#[derive(Debug, Clone)]
pub struct ActiveUser {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Their domain.
    pub domain: Named,
    /// Tokens issued before this second are void: the password has changed, or all were revoked.
    pub tokens_valid_from_seconds: i64,
    /// What their password must fit.
    pub password_hash: Option<String>,
    /// What their API key must fit; the password's hash where they have no such key.
    pub api_key_hash: Option<String>,
    /// The project their tokens are for where they ask for none.
    pub default_project_id: Option<String>,
}

const ACTIVE_USER: &str = "SELECT users.id, users.name, domains.id, domains.name, users.tokens_valid_from, \
     users.password_hash, users.default_project_id, users.api_key_hash \
     FROM users JOIN domains ON domains.id = users.domain_id WHERE users.enabled = 1 AND domains.enabled = 1";

fn active_user_row(row: &dyn super::Row) -> Result<ActiveUser, StoreError> {
    let text = |column| Ok::<_, StoreError>(row.text_or_null(column)?.map(str::to_owned));
    Ok(ActiveUser {
        id: parsed(row, 0)?,
        name: row.text(1)?.to_owned(),
        domain: Named::new(row.text(2)?, row.text(3)?),
        tokens_valid_from_seconds: row.int(4)?,
        password_hash: text(5)?,
        default_project_id: text(6)?,
        api_key_hash: text(7)?.or(text(5)?),
    })
}

/// Finds a user who may log in.
///
/// # Errors
/// The engine's.
pub fn active_user(tx: &mut dyn Tx, id: &str) -> Result<Option<ActiveUser>, StoreError> {
    tx.first(&format!("{ACTIVE_USER} AND users.id = $1"), &[id.into()], active_user_row)
}

/// Finds a user who may log in, by name and the id of their domain.
///
/// # Errors
/// The engine's.
pub fn active_user_named(tx: &mut dyn Tx, name: &str, domain: &str) -> Result<Option<ActiveUser>, StoreError> {
    let sql = format!("{ACTIVE_USER} AND users.domain_id = $1 AND users.name = $2");
    tx.first(&sql, &[domain.into(), name.into()], active_user_row)
}

/// Whether this audit id was revoked.
///
/// # Errors
/// The engine's.
pub fn is_revoked(tx: &mut dyn Tx, audit_id: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM revoked_tokens WHERE audit_id = $1", &[audit_id.into()])? > 0)
}

/// Revokes a token by its audit id, and forgets the revocations of tokens that have expired since.
///
/// # Errors
/// The engine's.
pub fn revoke(tx: &mut dyn Tx, audit_id: &str, expires_at_seconds: i64, now_seconds: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM revoked_tokens WHERE expires_at <= $1", &[now_seconds.into()])?;
    tx.execute(
        "INSERT INTO revoked_tokens (audit_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[audit_id.into(), expires_at_seconds.into()],
    )?;
    Ok(())
}

/// A project that is enabled, in a domain that is.
#[derive(Debug, Clone)]
pub struct ActiveProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Its domain.
    pub domain: Named,
}

const ACTIVE_PROJECT: &str = "SELECT projects.id, projects.name, domains.id, domains.name \
     FROM projects JOIN domains ON domains.id = projects.domain_id WHERE projects.enabled = 1 AND domains.enabled = 1";

fn active_project_row(row: &dyn super::Row) -> Result<ActiveProject, StoreError> {
    Ok(ActiveProject {
        id: parsed(row, 0)?,
        name: row.text(1)?.to_owned(),
        domain: Named::new(row.text(2)?, row.text(3)?),
    })
}

/// A project one may scope to.
///
/// # Errors
/// The engine's.
pub fn active_project(tx: &mut dyn Tx, id: &str) -> Result<Option<ActiveProject>, StoreError> {
    tx.first(&format!("{ACTIVE_PROJECT} AND projects.id = $1"), &[id.into()], active_project_row)
}

/// A project one may scope to, by name and the id of its domain.
///
/// # Errors
/// The engine's.
pub fn active_project_named(tx: &mut dyn Tx, name: &str, domain: &str) -> Result<Option<ActiveProject>, StoreError> {
    let sql = format!("{ACTIVE_PROJECT} AND projects.domain_id = $1 AND projects.name = $2");
    tx.first(&sql, &[domain.into(), name.into()], active_project_row)
}

/// The projects on which a user has a role and to which they may scope, by name.
///
/// # Errors
/// The engine's.
pub fn active_projects_of(tx: &mut dyn Tx, user: &UserId) -> Result<Vec<ActiveProject>, StoreError> {
    let sql = format!(
        "{ACTIVE_PROJECT} AND projects.id IN \
         (SELECT target_id FROM grants WHERE user_id = $1 AND target_kind = 'project') ORDER BY projects.name, projects.id"
    );
    tx.all(&sql, &[user.as_str().into()], active_project_row)
}

/// A domain, if it is enabled.
///
/// # Errors
/// The engine's.
pub fn active_domain(tx: &mut dyn Tx, id: &str) -> Result<Option<Named>, StoreError> {
    let sql = "SELECT id, name FROM domains WHERE id = $1 AND enabled = 1";
    tx.first(sql, &[id.into()], |row| Ok(Named::new(row.text(0)?, row.text(1)?)))
}

/// A domain by its name, if it is enabled.
///
/// # Errors
/// The engine's.
pub fn active_domain_named(tx: &mut dyn Tx, name: &str) -> Result<Option<Named>, StoreError> {
    let sql = "SELECT id, name FROM domains WHERE name = $1 AND enabled = 1";
    tx.first(sql, &[name.into()], |row| Ok(Named::new(row.text(0)?, row.text(1)?)))
}

/// A user's roles on a target, with all that these imply, by name.
///
/// # Errors
/// The engine's.
pub fn held_roles(tx: &mut dyn Tx, user: &UserId, kind: &str, target: &str) -> Result<Vec<Named>, StoreError> {
    tx.all(
        "WITH RECURSIVE held (role_id) AS ( \
           SELECT role_id FROM grants WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 \
           UNION SELECT implied_role_id FROM implied_roles JOIN held ON prior_role_id = held.role_id) \
         SELECT roles.id, roles.name FROM roles JOIN held ON roles.id = held.role_id WHERE roles.domain_id = '' \
         ORDER BY roles.name, roles.id",
        &[user.as_str().into(), kind.into(), target.into()],
        |row| Ok(Named::new(row.text(0)?, row.text(1)?)),
    )
}

/// A role and all that it implies, in no order that means anything.
///
/// # Errors
/// The engine's.
pub fn implied_closure(tx: &mut dyn Tx, role: &str) -> Result<Vec<Named>, StoreError> {
    tx.all(
        "WITH RECURSIVE held (role_id) AS ( \
           SELECT id FROM roles WHERE id = $1 \
           UNION SELECT implied_role_id FROM implied_roles JOIN held ON prior_role_id = held.role_id) \
         SELECT roles.id, roles.name FROM roles JOIN held ON roles.id = held.role_id ORDER BY roles.name, roles.id",
        &[role.into()],
        |row| Ok(Named::new(row.text(0)?, row.text(1)?)),
    )
}

/// An application credential, as far as logging in with it goes.
#[derive(Debug, Clone)]
pub struct CredentialInUse {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user_id: UserId,
    /// What its tokens are for.
    pub project_id: ProjectId,
    /// What the secret must fit.
    pub secret_hash: String,
    /// The roles it was given.
    pub role_ids: Vec<String>,
    /// Whether its tokens may manage application credentials.
    pub unrestricted: bool,
    /// When it ends, in seconds since the epoch.
    pub expires_at_seconds: Option<i64>,
}

const CREDENTIAL: &str = "SELECT id, name, user_id, project_id, secret_hash, role_ids, unrestricted, expires_at \
     FROM application_credentials";

fn credential_row(row: &dyn super::Row) -> Result<CredentialInUse, StoreError> {
    Ok(CredentialInUse {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        user_id: parsed(row, 2)?,
        project_id: parsed(row, 3)?,
        secret_hash: row.text(4)?.to_owned(),
        role_ids: row.text(5)?.split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        unrestricted: row.flag(6)?,
        expires_at_seconds: row.int_or_null(7)?.map(|at| at.div_euclid(1_000_000)),
    })
}

/// An application credential by its id.
///
/// # Errors
/// The engine's.
pub fn credential(tx: &mut dyn Tx, id: &str) -> Result<Option<CredentialInUse>, StoreError> {
    tx.first(&format!("{CREDENTIAL} WHERE id = $1"), &[id.into()], credential_row)
}

/// An application credential by its owner and its name.
///
/// # Errors
/// The engine's.
pub fn credential_named(tx: &mut dyn Tx, user: &UserId, name: &str) -> Result<Option<CredentialInUse>, StoreError> {
    let sql = format!("{CREDENTIAL} WHERE user_id = $1 AND name = $2");
    tx.first(&sql, &[user.as_str().into(), name.into()], credential_row)
}

/// The roles of an application credential: those it was given, with what they imply, that its user still has on its project.
///
/// # Errors
/// The engine's.
pub fn roles_of_credential(tx: &mut dyn Tx, credential: &CredentialInUse) -> Result<Vec<Named>, StoreError> {
    let mut roles = held_roles(tx, &credential.user_id, "project", credential.project_id.as_str())?;
    let mut given = Vec::new();
    for id in &credential.role_ids {
        given.extend(implied_closure(tx, id)?);
    }
    roles.retain(|role| given.iter().any(|given| given.id == role.id));
    Ok(roles)
}

/// One endpoint of the catalog with its service.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The service.
    pub service: Named,
    /// Its type.
    pub service_type: String,
    /// The endpoint's id; none where the service has no endpoint.
    pub endpoint_id: Option<String>,
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// Where it is, with gaps.
    pub url: String,
    /// The region.
    pub region_id: Option<String>,
}

/// The whole catalog: every service that is enabled with its enabled endpoints, by type and name.
///
/// # Errors
/// The engine's.
pub fn catalog(tx: &mut dyn Tx) -> Result<Vec<Entry>, StoreError> {
    tx.all(
        "SELECT services.id, services.name, services.type, endpoints.id, endpoints.interface, endpoints.url, endpoints.region_id \
         FROM services LEFT JOIN endpoints ON endpoints.service_id = services.id AND endpoints.enabled = 1 \
         WHERE services.enabled = 1 \
         ORDER BY services.type, services.name, services.id, endpoints.region_id, endpoints.interface, endpoints.id",
        &[],
        |row| {
            let text = |column| Ok::<_, StoreError>(row.text_or_null(column)?.unwrap_or_default().to_owned());
            Ok(Entry {
                service: Named::new(row.text(0)?, row.text(1)?),
                service_type: row.text(2)?.to_owned(),
                endpoint_id: row.text_or_null(3)?.map(str::to_owned),
                interface: text(4)?,
                url: text(5)?,
                region_id: parsed_or_null(row, 6)?,
            })
        },
    )
}

/// The id of a user's domain, project or credential as the model's type.
///
/// # Errors
/// `Damaged` where it is none.
pub fn domain_id(named: &Named) -> Result<DomainId, StoreError> {
    named.id.parse().map_err(|_| malformed("domain id", &named.id))
}
