//! Brings a database's schema up to date: the numbered files of `migrations/`, each applied once, all in one transaction.

use super::engine::{StoreError, Tx};

/// The schema, one step after the other. A step that was released is never changed.
const STEPS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_identity.sql")),
    (2, include_str!("../../migrations/0002_images.sql")),
    (3, include_str!("../../migrations/0003_compute.sql")),
];

/// Applies the steps that are missing.
///
/// # Errors
/// `Unavailable` where the database is newer than this program.
pub fn bring_up_to_date(tx: &mut dyn Tx) -> Result<(), StoreError> {
    apply(tx, str::to_owned)
}

/// As `bring_up_to_date`, where text is not compared byte by byte unless one says so: in PostgreSQL.
///
/// # Errors
/// As `bring_up_to_date`.
pub fn bring_up_to_date_with_collation(tx: &mut dyn Tx) -> Result<(), StoreError> {
    apply(tx, |statement| statement.replace(" TEXT", " TEXT COLLATE \"C\""))
}

fn apply(tx: &mut dyn Tx, adapted: impl Fn(&str) -> String) -> Result<(), StoreError> {
    tx.execute("CREATE TABLE IF NOT EXISTS schema_version (step BIGINT PRIMARY KEY)", &[])?;
    let at = tx.number("SELECT max(step) FROM schema_version", &[])?;
    let newest = STEPS.last().map_or(0, |(step, _)| *step);
    if at > newest {
        return Err(StoreError::Unavailable(format!(
            "its schema is at step {at}, and this program knows steps up to {newest}: it was written by a newer release"
        )));
    }
    for (step, sql) in STEPS.iter().filter(|(step, _)| *step > at) {
        for statement in sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            tx.execute(&adapted(statement), &[])?;
        }
        tx.execute("INSERT INTO schema_version (step) VALUES ($1)", &[(*step).into()])?;
    }
    Ok(())
}
