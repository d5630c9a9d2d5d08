//! What must hold of a database and is checked nowhere else: the engine's own integrity, that what lies in a row is what we would have
//! written, that names lead to something, that image data is there. A finding is a sentence; nothing is repaired.

use std::collections::HashSet;

use futures_util::StreamExt;
use md5::Md5;
use sha2::{Digest, Sha512};

use super::export::{content, hex};
use super::pages::{self, Cell};
use super::{CareError, Progress, Step};
use crate::blobs::{BlobError, BlobKey, Blobs};
use crate::json::{self, Json};
use crate::model::ids::ServerId;
use crate::model::image::{ImageStatus, Visibility};
use crate::model::server::{PowerState, TaskState, VmState};
use crate::policy::file::parse_published;
use crate::store::schema::Table;
use crate::store::{Store, StoreError, Tx, items};

/// Columns that hold a JSON object.
const OBJECTS: &[(&str, &str)] = &[
    ("servers", "details"),
    ("images", "properties"),
    ("flavors", "extra_specs"),
    ("domains", "extra"),
    ("projects", "extra"),
    ("users", "extra"),
];

/// Rows that name another which need not be there for the engine: what it is in words, and how those are found whose other is missing.
const NAMES: &[(&str, &str)] = &[
    (
        "a role is granted on a project that does not exist",
        "SELECT target_id FROM grants WHERE target_kind = 'project' \
         AND NOT EXISTS (SELECT 1 FROM projects WHERE projects.id = target_id) ORDER BY target_id",
    ),
    (
        "a role is granted on a domain that does not exist",
        "SELECT target_id FROM grants WHERE target_kind = 'domain' \
         AND NOT EXISTS (SELECT 1 FROM domains WHERE domains.id = target_id) ORDER BY target_id",
    ),
    (
        "a role is granted on a thing of unknown kind",
        "SELECT target_kind FROM grants WHERE target_kind NOT IN ('project', 'domain', 'system') ORDER BY target_kind",
    ),
    (
        "a task is to be done for a server that does not exist",
        "SELECT subject_id FROM tasks WHERE subject_id NOT IN (SELECT id FROM servers) ORDER BY subject_id",
    ),
    (
        "a server is in the state deleted and not marked as deleted",
        "SELECT id FROM servers WHERE vm_state = 'deleted' AND deleted = 0 ORDER BY id",
    ),
];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong, a sentence each.
    pub wrong: Vec<String>,
    /// What is not wrong, but worth knowing.
    pub notes: Vec<String>,
    images: Vec<ImageData>,
    blobs: HashSet<String>,
}

/// What the row of an active image says of its data.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ImageData {
    id: String,
    blob: String,
    size: Option<i64>,
    checksum: Option<String>,
    sha512: Option<String>,
}

/// Checks the database, as it is at one moment.
///
/// # Errors
/// Where it cannot be read at all. Damage is a finding.
pub async fn database(
    store: &Store,
    is_embedded: bool,
    mut heard: impl FnMut(Step<'_>) + Send + 'static,
) -> Result<Findings, CareError> {
    let script = move |tx: &mut dyn Tx| {
        let mut findings = Findings::default();
        if is_embedded {
            heard(Step { what: "integrity", done: 0, total: None });
            findings.engine(tx)?;
        }
        findings.rows(tx, &mut heard)?;
        for (what, sql) in NAMES {
            let missing = tx.all(sql, &[], |row| Ok(row.text(0)?.to_owned()))?;
            findings.wrong.extend(missing.into_iter().map(|id| format!("{what}: {id}")));
        }
        if tx.number("SELECT count(*) FROM import_progress", &[])? > 0 {
            findings.wrong.push("an import was begun and not finished: run `kilonova db import` again".into());
        }
        Ok::<_, StoreError>(findings)
    };
    match store.read(script).await {
        Err(StoreError::Damaged(what)) => {
            Ok(Findings { wrong: vec![format!("the database is damaged: {what}")], ..Findings::default() })
        }
        other => Ok(other?),
    }
}

impl Findings {
    /// SQLite's own checks.
    fn engine(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        let told = tx.all("PRAGMA integrity_check", &[], |row| Ok(row.text(0)?.to_owned()))?;
        self.wrong.extend(told.into_iter().filter(|line| line != "ok").map(|line| format!("integrity: {line}")));
        let dangling = tx.all("PRAGMA foreign_key_check", &[], |row| {
            Ok(format!("a row of {} refers to one of {} that does not exist", row.text(0)?, row.text(2)?))
        })?;
        self.wrong.extend(dangling);
        Ok(())
    }

    fn rows(&mut self, tx: &mut dyn Tx, heard: Progress<'_>) -> Result<(), StoreError> {
        let tables = content();
        let mut total = 0;
        for table in &tables {
            total += pages::count(tx, table)?;
        }
        let mut done = 0;
        for table in &tables {
            pages::each_row(tx, table, |cells| {
                done += 1;
                heard(Step { what: &table.name, done, total: Some(total) });
                self.row(&Named { table, cells });
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(())
    }

    fn row(&mut self, row: &Named<'_>) {
        for (_, column) in OBJECTS.iter().filter(|(table, _)| *table == row.table.name) {
            if !row.text(column).is_none_or(is_object) {
                self.wrong.push(format!("{}: {column} is no JSON object", row.name()));
            }
        }
        match row.table.name.as_str() {
            "published_policies" => self.policy(row),
            "servers" => self.server(row),
            "images" => self.image(row),
            _ => {}
        }
    }

    fn policy(&mut self, row: &Named<'_>) {
        let text = row.text("content").unwrap_or_default();
        if let Err(error) = parse_published(row.int("revision").unwrap_or(0), text) {
            self.wrong.push(error.to_string());
        }
    }

    fn server(&mut self, row: &Named<'_>) {
        let mut wrong = |is_wrong: bool, what: &str| {
            if is_wrong {
                self.wrong.push(format!("{}: {what}", row.name()));
            }
        };
        let unknown = |column, known: fn(&str) -> bool| !row.text(column).is_none_or(known);
        wrong(unknown("vm_state", |text| text.parse::<VmState>().is_ok()), "its vm_state is none that is known");
        wrong(unknown("task_state", |text| text.parse::<TaskState>().is_ok()), "its task_state is none that is known");
        let number = row.text("id").and_then(|id| Some(id.parse::<ServerId>().ok()?.number()));
        wrong(
            number.is_none() || number != row.int("number"),
            "its number is not that of its id, by which it is found",
        );
        let power = row.int("power_state").and_then(|number| u8::try_from(number).ok());
        wrong(power.and_then(PowerState::from_number).is_none(), "its power_state is none that is known");
        wrong(
            unknown("metadata", |text| items::map(text).is_ok()),
            "its metadata is no map of keys and values as they may be",
        );
    }

    fn image(&mut self, row: &Named<'_>) {
        let status = row.text("status").and_then(|text| text.parse::<ImageStatus>().ok());
        let mut wrong = |is_wrong: bool, what: &str| {
            if is_wrong {
                self.wrong.push(format!("{}: {what}", row.name()));
            }
        };
        let is_key = |text: &str| text.parse::<BlobKey>().is_ok();
        wrong(status.is_none(), "its status is none that is known");
        let visibility = row.text("visibility").and_then(|text| text.parse::<Visibility>().ok());
        wrong(visibility.is_none(), "its visibility is none that is known");
        wrong(!row.text("properties").is_none_or(has_texts_only), "its properties are not texts");
        wrong(!row.text("tags").is_none_or(is_list_of_texts), "its tags are no list of texts");
        wrong(!row.text("blob").is_none_or(is_key), "the key of its data is none");
        let is_sorted_by_name = row.text("sort_name") == Some(row.text("name").unwrap_or_default());
        wrong(!is_sorted_by_name, "its sort_name is not its name, by which it is found in lists");
        let is_active = status == Some(ImageStatus::Active);
        wrong(is_active && row.text("blob").is_none(), "it is active and has no data");
        let Some(blob) = row.text("blob").filter(|text| is_key(text)) else { return };
        self.blobs.insert(blob.to_owned());
        if is_active {
            let owned = |column| row.text(column).map(str::to_owned);
            self.images.push(ImageData {
                id: row.text("id").unwrap_or_default().to_owned(),
                blob: blob.to_owned(),
                size: row.int("size"),
                checksum: owned("checksum"),
                sha512: owned("os_hash_value"),
            });
        }
    }

    /// Looks for the data of every active image, and for data of none; with `read_all` reads it and compares its checksums.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub async fn image_data(&mut self, blobs: &Blobs, read_all: bool, heard: Progress<'_>) -> Result<(), BlobError> {
        let total = self.images.len() as u64;
        for (done, image) in self.images.iter().enumerate() {
            heard(Step { what: "image data", done: done as u64, total: Some(total) });
            let key: BlobKey = image.blob.parse().expect("only keys were noted");
            let told = match blobs.len(&key).await {
                Err(BlobError::NotFound) => Some("it is active and its data is missing".to_owned()),
                Err(error) => return Err(error),
                Ok(bytes) if image.size.is_some_and(|size| u64::try_from(size) != Ok(bytes)) => {
                    Some(format!("its data has {bytes} bytes, and not its size"))
                }
                Ok(_) if read_all => other_checksum(blobs, &key, image).await?,
                Ok(_) => None,
            };
            self.wrong.extend(told.map(|sentence| format!("image {}: {sentence}", image.id)));
        }
        for key in blobs.keys().await? {
            if !self.blobs.contains(key.as_str()) {
                self.notes.push(format!("image data {key} belongs to no image; the server's next start removes it"));
            }
        }
        Ok(())
    }
}

async fn other_checksum(blobs: &Blobs, key: &BlobKey, image: &ImageData) -> Result<Option<String>, BlobError> {
    let (mut md5, mut sha512) = (Md5::new(), Sha512::new());
    let mut stream = blobs.read(key).await?.stream;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        md5.update(&chunk);
        sha512.update(&chunk);
    }
    let differs = |noted: &Option<String>, found: &[u8]| noted.as_ref().is_some_and(|noted| *noted != hex(found));
    let wrong = differs(&image.checksum, &md5.finalize()) || differs(&image.sha512, &sha512.finalize());
    Ok(wrong.then(|| "its data is not what was uploaded: the checksum differs".to_owned()))
}

/// A row whose cells are found by name.
struct Named<'a> {
    table: &'a Table,
    cells: &'a [Cell],
}

impl Named<'_> {
    /// What it is, for a sentence: `servers 1234`.
    fn name(&self) -> String {
        if let Some(id) = self.text("id") {
            return format!("{} {id}", self.table.name);
        }
        let key = self.table.key.iter().map(|at| match &self.cells[*at] {
            Cell::Null => String::new(),
            Cell::Int(number) => number.to_string(),
            Cell::Text(text) => text.clone(),
        });
        format!("{} {}", self.table.name, key.collect::<Vec<_>>().join("/"))
    }

    fn text(&self, column: &str) -> Option<&str> {
        match &self.cells[self.table.place(column)?] {
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Int(_) => None,
        }
    }

    fn int(&self, column: &str) -> Option<i64> {
        match &self.cells[self.table.place(column)?] {
            Cell::Int(number) => Some(*number),
            Cell::Null | Cell::Text(_) => None,
        }
    }
}

fn is_object(text: &str) -> bool {
    json::parse(text.as_bytes()).is_ok_and(|json| json.as_object().is_some())
}

fn has_texts_only(text: &str) -> bool {
    let is_text = |(_, value): (&str, &Json)| value.is_null() || value.as_str().is_some();
    json::parse(text.as_bytes()).is_ok_and(|json| json.as_object().is_some_and(|object| object.iter().all(is_text)))
}

fn is_list_of_texts(text: &str) -> bool {
    let json = json::parse(text.as_bytes());
    json.is_ok_and(|json| json.as_array().is_some_and(|tags| tags.iter().all(|tag| tag.as_str().is_some())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_that_is_checked_exists() {
        for (table, column) in OBJECTS {
            let found = content().into_iter().find(|candidate| candidate.name == *table);
            assert!(found.is_some_and(|found| found.place(column).is_some()), "{table}.{column}");
        }
    }
}
