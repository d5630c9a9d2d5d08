//! Lines of JSON, as `export` writes them, into an empty database. Rows go in by batches, each in one transaction with a note of how far
//! the import has come; an import that was interrupted goes on from there when it is run again with the same lines.

use std::io::{BufRead, Read};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::export::{FORMAT, content, hex};
use super::pages::{self, Cell};
use super::{CareError, Progress, Step};
use crate::json::{self, Json};
use crate::store::schema::{Kind, Table};
use crate::store::{Store, StoreError, Tx, Value, migrate};

/// Rows of one statement. With 30 columns these are far fewer parameters than either engine takes.
const STATEMENT_ROWS: usize = 32;
/// Rows of one transaction.
const BATCH_ROWS: usize = 512;
/// Bytes of lines of one transaction, more or less.
const BATCH_BYTES: usize = 1 << 20;
/// The longest line that is read. Metadata has at most some hundred kilobytes, user data 64 KiB.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// What has been imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// All rows there are now.
    pub rows: u64,
    /// How many of them an earlier run had imported, that was interrupted.
    pub resumed_from: u64,
}

/// Reads all lines into a database that was opened for an import. `heard` is told how many bytes were read.
///
/// # Errors
/// Where the database has content, or part of another import; where lines are missing or changed; the engine's. After an
/// error other than the first two the import can be run again.
pub async fn import(store: &Store, input: impl BufRead, heard: Progress<'_>) -> Result<Imported, CareError> {
    let tables = content();
    let mut lines = Lines::of(input);
    let begun = begin(store, &tables).await?;
    let mut reading = Reading { tables: Arc::new(tables), table: None, counts: Vec::new(), batch: Batch::default() };
    reading.counts.resize(reading.tables.len(), 0);
    let mut resumed_from = 0;
    loop {
        heard(Step { what: "lines", done: lines.bytes, total: None });
        if !lines.next()? {
            return Err(CareError::refused(format!(
                "line {}: the lines end here, and a last line with a digest does not come; what was read is kept: run this \
                 again with all lines",
                lines.number + 1
            )));
        }
        match lines.meaning(&reading)? {
            Line::Header => {}
            Line::Table(at) => {
                reading.flush(store, lines.number - 1, lines.digest_before()).await?;
                reading.table = Some(at);
            }
            Line::Row(cells) => {
                let at = reading.table.expect("a row is only understood after its table");
                reading.counts[at] += 1;
                if lines.number > begun.lines {
                    reading.batch.rows.push(cells);
                    reading.batch.bytes += lines.line.len();
                    if reading.batch.is_full() {
                        reading.flush(store, lines.number, lines.digest_now()).await?;
                    }
                } else {
                    resumed_from += 1;
                }
            }
            Line::End(_) if lines.number <= begun.lines => return Err(other_import()),
            Line::End(end) => {
                reading.flush(store, lines.number - 1, lines.digest_before()).await?;
                let expected = (lines.digest_before(), reading.counts.clone());
                finish(store, reading.tables.clone(), end, expected).await?;
                return Ok(Imported { rows: reading.counts.iter().sum(), resumed_from });
            }
        }
        if lines.number == begun.lines && lines.digest_now() != begun.digest {
            return Err(other_import());
        }
    }
}

fn other_import() -> CareError {
    CareError::refused(
        "part of another import is in this database: run it again with the lines it was begun with, or take an empty database",
    )
}

/// How far an import has come.
struct Begun {
    lines: u64,
    digest: String,
}

/// Finds how far it has come, or notes that it begins.
async fn begin(store: &Store, tables: &[Table]) -> Result<Begun, CareError> {
    let tables = tables.to_vec();
    let script = move |tx: &mut dyn Tx| {
        let found = tx.first("SELECT lines, digest FROM import_progress WHERE id = 1", &[], |row| {
            Ok(Begun { lines: u64::try_from(row.int(0)?).unwrap_or(0), digest: row.text(1)?.to_owned() })
        })?;
        if let Some(begun) = found {
            return Ok(begun);
        }
        for table in &tables {
            if pages::count(tx, table)? > 0 {
                return Err(CareError::refused(format!(
                    "the database is not empty (there are rows in {}): an import needs a database that was never served",
                    table.name
                )));
            }
        }
        tx.execute("INSERT INTO import_progress (id, lines, digest) VALUES (1, 0, '')", &[])?;
        Ok(Begun { lines: 0, digest: String::new() })
    };
    store.write(script).await
}

/// Compares with what the last line says, and with what the database has; then the database may be served.
async fn finish(store: &Store, tables: Arc<Vec<Table>>, end: End, read: (String, Vec<u64>)) -> Result<(), CareError> {
    let damaged = |what: String| {
        CareError::refused(format!(
            "{what}: the lines were changed on their way; take an empty database and the right lines"
        ))
    };
    let (digest, counts) = read;
    if end.digest != digest {
        return Err(damaged("the digest in the last line is not that of the lines before it".into()));
    }
    if end.counts != counts {
        return Err(damaged("the last line counts other rows than there are".into()));
    }
    let script = move |tx: &mut dyn Tx| {
        for (table, count) in tables.iter().zip(&counts) {
            let there = pages::count(tx, table)?;
            if there != *count {
                return Err(CareError::refused(format!(
                    "{} has {there} rows, and {count} were imported: somebody else writes to this database",
                    table.name
                )));
            }
        }
        tx.execute("DELETE FROM import_progress", &[])?;
        Ok(())
    };
    store.write(script).await
}

/// What is known of the lines read so far, and what is not yet written of them.
struct Reading {
    tables: Arc<Vec<Table>>,
    table: Option<usize>,
    counts: Vec<u64>,
    batch: Batch,
}

/// Rows of one table.
#[derive(Default)]
struct Batch {
    rows: Vec<Vec<Cell>>,
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

impl Reading {
    /// Writes the batch, and that the import has come so far: so many lines, of this digest.
    async fn flush(&mut self, store: &Store, lines: u64, digest: String) -> Result<(), CareError> {
        let Some(at) = self.table else { return Ok(()) };
        let batch = std::mem::take(&mut self.batch);
        if batch.rows.is_empty() {
            return Ok(());
        }
        let tables = self.tables.clone();
        let script = move |tx: &mut dyn Tx| {
            insert(tx, &tables[at], &batch.rows)?;
            tx.execute(
                "UPDATE import_progress SET lines = $1, digest = $2 WHERE id = 1",
                &[i64::try_from(lines).unwrap_or(i64::MAX).into(), digest.as_str().into()],
            )?;
            Ok::<_, StoreError>(())
        };
        store.write(script).await.map_err(|error| match error {
            StoreError::Duplicate(_) | StoreError::Unstorable | StoreError::Defect(_) => {
                CareError::refused(format!("the database refuses a row at line {lines} or before: {error}"))
            }
            other => other.into(),
        })
    }
}

fn insert(tx: &mut dyn Tx, table: &Table, rows: &[Vec<Cell>]) -> Result<(), StoreError> {
    for rows in rows.chunks(STATEMENT_ROWS) {
        let values: Vec<Value<'_>> = rows.iter().flatten().map(Value::from).collect();
        tx.execute(&insertion(table, rows.len()), &values)?;
    }
    Ok(())
}

fn insertion(table: &Table, rows: usize) -> String {
    let width = table.columns.len();
    let row = |row: usize| {
        let places: Vec<String> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("INSERT INTO {} ({}) VALUES {}", table.name, table.column_list(), rows.join(", "))
}

/// The lines, one at a time.
struct Lines<R> {
    input: R,
    /// Of the line that was read last, from 1.
    number: u64,
    bytes: u64,
    digest: Sha256,
    /// Without the line that was read last.
    before: Sha256,
    line: Vec<u8>,
}

/// What a line says.
enum Line {
    Header,
    Table(usize),
    Row(Vec<Cell>),
    End(End),
}

/// What the last line says.
struct End {
    counts: Vec<u64>,
    digest: String,
}

impl<R: BufRead> Lines<R> {
    fn of(input: R) -> Lines<R> {
        Lines { input, number: 0, bytes: 0, digest: Sha256::new(), before: Sha256::new(), line: Vec::new() }
    }

    /// Reads the next line; says whether there was one.
    fn next(&mut self) -> Result<bool, CareError> {
        self.line.clear();
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line);
        let read = read.map_err(|cause| CareError::File { what: "the lines to import".into(), cause })?;
        if self.line.last() != Some(&b'\n') {
            // half a line is none: the rest of it is still to come
            return Ok(false);
        }
        self.before = self.digest.clone();
        self.digest.update(&self.line);
        self.number += 1;
        self.bytes += read as u64;
        Ok(true)
    }

    fn digest_now(&self) -> String {
        hex(&self.digest.clone().finalize())
    }

    fn digest_before(&self) -> String {
        hex(&self.before.clone().finalize())
    }

    fn meaning(&self, reading: &Reading) -> Result<Line, CareError> {
        let wrong = |what: &str| CareError::refused(format!("line {}: {what}", self.number));
        let json = json::parse(&self.line).map_err(|_| wrong("this is no JSON"))?;
        if self.number == 1 {
            return header(&json).map(|()| Line::Header).map_err(|sentence| wrong(&sentence));
        }
        if let Some(cells) = json.as_array() {
            let table = reading.table.map(|at| &reading.tables[at]).ok_or_else(|| wrong("a row without its table"))?;
            return row(cells, table).map(Line::Row).ok_or_else(|| wrong(&format!("this is no row of {}", table.name)));
        }
        if let Some(name) = json.get("table").and_then(Json::as_str) {
            let at = reading.tables.iter().position(|table| table.name == name && has_columns(&json, table));
            return at.map(Line::Table).ok_or_else(|| wrong("there is no such table, or it has other columns"));
        }
        let end = json.get("end").and_then(|end| ending(end, &reading.tables));
        end.map(Line::End).ok_or_else(|| wrong("this is none of the lines of an export"))
    }
}

fn header(json: &Json) -> Result<(), String> {
    match json.get("kilonova_export").and_then(Json::as_i64) {
        None => return Err("this is no export of Kilonova".into()),
        Some(FORMAT) => {}
        Some(other) => return Err(format!("the export has format {other}, and this program reads format {FORMAT}")),
    }
    let schema = json.get("schema").and_then(Json::as_i64).unwrap_or(0);
    if schema != migrate::newest() {
        return Err(format!(
            "the export has schema step {schema}, and this program works with step {}: import it with the release that wrote \
             it; the next start of a newer one brings the database up to date",
            migrate::newest()
        ));
    }
    Ok(())
}

fn has_columns(json: &Json, table: &Table) -> bool {
    let names = json.get("columns").and_then(Json::as_array).unwrap_or_default();
    names.iter().map(Json::as_str).eq(table.columns.iter().map(|column| Some(column.name.as_str())))
}

fn row(cells: &[Json], table: &Table) -> Option<Vec<Cell>> {
    if cells.len() != table.columns.len() {
        return None;
    }
    let cell = |(json, kind): (&Json, Kind)| match kind {
        _ if json.is_null() => Some(Cell::Null),
        Kind::Int => json.as_i64().map(Cell::Int),
        Kind::Text => json.as_str().map(|text| Cell::Text(text.to_owned())),
    };
    cells.iter().zip(table.columns.iter().map(|column| column.kind)).map(cell).collect()
}

fn ending(end: &Json, tables: &[Table]) -> Option<End> {
    let rows = end.get("rows")?;
    let count = |table: &Table| u64::try_from(rows.get(&table.name)?.as_i64()?).ok();
    Some(End {
        counts: tables.iter().map(count).collect::<Option<_>>()?,
        digest: end.get("sha256")?.as_str()?.to_owned(),
    })
}
