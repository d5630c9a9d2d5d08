//! The SQL of projects.

use super::{Page, changed, extra, extra_text, listed};
use crate::json::{self, Json};
use crate::model::identity::Project;
use crate::store::{Row, StoreError, Tx, Value, parsed};

const SELECT: &str = "SELECT id, domain_id, name, description, enabled, parent_id, tags, extra FROM projects";

fn made(row: &dyn Row) -> Result<Project, StoreError> {
    Ok(Project {
        id: parsed(row, 0)?,
        domain_id: parsed(row, 1)?,
        name: row.text(2)?.to_owned(),
        description: row.text(3)?.to_owned(),
        enabled: row.flag(4)?,
        parent_id: row.text(5)?.to_owned(),
        tags: tags(row.text(6)?)?,
        extra: extra(row, 7)?,
    })
}

fn tags(text: &str) -> Result<Vec<String>, StoreError> {
    let json = json::parse(text.as_bytes()).map_err(|_| crate::store::malformed("tags of a project", text))?;
    Ok(json.as_array().unwrap_or_default().iter().filter_map(Json::as_str).map(str::to_owned).collect())
}

fn tags_text(tags: &[String]) -> String {
    tags.iter().collect::<Json>().to_string()
}

/// One project.
///
/// # Errors
/// The engine's.
pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<Project>, StoreError> {
    tx.first(&format!("{SELECT} WHERE id = $1"), &[id.into()], made)
}

/// The projects that fit all filters.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, filters: &[(&'static str, Value<'_>)], page: &Page) -> Result<Vec<Project>, StoreError> {
    listed(tx, SELECT, filters, page, made)
}

/// The projects on which a user has a role.
///
/// # Errors
/// The engine's.
pub fn of_user(tx: &mut dyn Tx, user: &str) -> Result<Vec<Project>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE id IN (SELECT target_id FROM grants WHERE user_id = $1 AND target_kind = 'project') ORDER BY id"
    );
    tx.all(&sql, &[user.into()], made)
}

/// Whether there is a project below this one.
///
/// # Errors
/// The engine's.
pub fn has_children(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.number("SELECT count(*) FROM projects WHERE parent_id = $1", &[id.into()])? > 0)
}

/// Adds a project.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken in its domain.
pub fn insert(tx: &mut dyn Tx, project: &Project) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO projects (id, domain_id, name, description, enabled, parent_id, tags, extra) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            project.id.as_str().into(),
            project.domain_id.as_str().into(),
            (&project.name).into(),
            (&project.description).into(),
            project.enabled.into(),
            (&project.parent_id).into(),
            tags_text(&project.tags).as_str().into(),
            extra_text(&project.extra).as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Writes a project anew, but for its domain and its parent, which never change.
///
/// # Errors
/// The engine's; `Duplicate` where the name is taken in its domain.
pub fn update(tx: &mut dyn Tx, project: &Project) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE projects SET name = $1, description = $2, enabled = $3, tags = $4, extra = $5 WHERE id = $6",
        &[
            (&project.name).into(),
            (&project.description).into(),
            project.enabled.into(),
            tags_text(&project.tags).as_str().into(),
            extra_text(&project.extra).as_str().into(),
            project.id.as_str().into(),
        ],
    )?;
    changed(tx);
    Ok(())
}

/// Deletes a project, what is granted on it, and the application credentials for it. Users whose default it was have none.
///
/// # Errors
/// The engine's.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM application_credentials WHERE project_id = $1",
        "DELETE FROM grants WHERE target_kind = 'project' AND target_id = $1",
        "UPDATE users SET default_project_id = NULL WHERE default_project_id = $1",
        "DELETE FROM projects WHERE id = $1",
    ] {
        tx.execute(sql, &[id.into()])?;
    }
    changed(tx);
    Ok(())
}
