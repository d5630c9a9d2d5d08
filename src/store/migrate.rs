//! Brings a database's schema up to date: the numbered files of `migrations/`, each applied once, all in one transaction. And
//! the guard: a database that this program does not understand, or that is only half there, is not opened.

use super::engine::{StoreError, Tx};
use super::schema::{self, Table};

/// The schema, one step after the other. A step that was released is never changed.
const STEPS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_identity.sql")),
    (2, include_str!("../../migrations/0002_images.sql")),
    (3, include_str!("../../migrations/0003_compute.sql")),
    (4, include_str!("../../migrations/0004_care.sql")),
    (5, include_str!("../../migrations/0005_uploads.sql")),
    (6, include_str!("../../migrations/0006_lists.sql")),
    (7, include_str!("../../migrations/0007_servers_by_number.sql")),
    (8, include_str!("../../migrations/0008_published_policy.sql")),
    (9, include_str!("../../migrations/0009_lists_by_name.sql")),
];

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be served: its schema is brought up to date.
    Serve,
    /// To be filled by an import: so, too, but it may be half filled.
    Import,
    /// To be looked at, perhaps beside a server: nothing is changed.
    Look,
    /// To have something changed, perhaps beside servers that go on: its schema must be the one that they and this program know.
    Change,
}

/// The step of the schema that this program knows.
pub fn newest() -> i64 {
    STEPS.last().map_or(0, |(step, _)| *step)
}

/// Every table of that step, in an order in which each comes after those it refers to.
pub fn tables() -> Vec<Table> {
    schema::tables(STEPS.iter().map(|(_, sql)| *sql))
}

/// Applies the steps that are missing.
///
/// # Errors
/// `Unavailable` where the database is newer than this program, or half imported.
pub fn bring_up_to_date(tx: &mut dyn Tx) -> Result<(), StoreError> {
    prepare(tx, Purpose::Serve, with_row_numbers)
}

/// Makes a database ready for what it is opened for. Statements are adapted to the engine by `adapted`.
///
/// # Errors
/// `Unavailable` where the database is not one for this program and this purpose.
pub fn prepare(tx: &mut dyn Tx, purpose: Purpose, adapted: impl Fn(&str) -> String) -> Result<(), StoreError> {
    match purpose {
        Purpose::Serve => {
            apply(tx, adapted)?;
            refuse_half_imported(tx)
        }
        Purpose::Import => apply(tx, adapted),
        Purpose::Look => must_be_current(tx),
        Purpose::Change => {
            must_be_current(tx)?;
            refuse_half_imported(tx)
        }
    }
}

/// In SQLite rows lie in the order of their primary key where, and only where, that is an `INTEGER`: which has 64 bits there.
pub fn with_row_numbers(statement: &str) -> String {
    statement.replace(" number BIGINT PRIMARY KEY", " number INTEGER PRIMARY KEY")
}

/// Text is not compared byte by byte in PostgreSQL unless one says so.
pub fn with_collation(statement: &str) -> String {
    statement.replace(" TEXT", " TEXT COLLATE \"C\"")
}

fn apply(tx: &mut dyn Tx, adapted: impl Fn(&str) -> String) -> Result<(), StoreError> {
    tx.execute("CREATE TABLE IF NOT EXISTS schema_version (step BIGINT PRIMARY KEY)", &[])?;
    let at = tx.number("SELECT max(step) FROM schema_version", &[])?;
    refuse_newer(at)?;
    for (step, sql) in STEPS.iter().filter(|(step, _)| *step > at) {
        for statement in schema::statements(sql) {
            tx.execute(&adapted(&statement), &[])?;
        }
        tx.execute("INSERT INTO schema_version (step) VALUES ($1)", &[(*step).into()])?;
    }
    Ok(())
}

fn refuse_newer(at: i64) -> Result<(), StoreError> {
    if at > newest() {
        return Err(StoreError::Unavailable(format!(
            "its schema is at step {at}, and this program knows steps up to {}: it was written by a newer release; run that \
             release, or restore a backup from before the upgrade",
            newest()
        )));
    }
    Ok(())
}

fn must_be_current(tx: &mut dyn Tx) -> Result<(), StoreError> {
    let at = tx.number("SELECT max(step) FROM schema_version", &[]).map_err(|error| match error {
        // the statement is right, so its table is not there
        StoreError::Defect(_) => StoreError::Unavailable("no cloud was ever kept in it".into()),
        other => other,
    })?;
    refuse_newer(at)?;
    if at < newest() {
        return Err(StoreError::Unavailable(format!(
            "its schema is at step {at}, and this program works with step {}: start `kilonova serve` once, which brings it up \
             to date, or use the release that wrote it",
            newest()
        )));
    }
    Ok(())
}

fn refuse_half_imported(tx: &mut dyn Tx) -> Result<(), StoreError> {
    if tx.number("SELECT count(*) FROM import_progress", &[])? > 0 {
        return Err(StoreError::Unavailable(
            "an import into it was not finished: run `kilonova db import` again with the same file".into(),
        ));
    }
    Ok(())
}
