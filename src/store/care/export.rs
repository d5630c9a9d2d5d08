//! The whole content of a database as lines of JSON: a header, then for each table a line that names its columns and a line per
//! row, then how many rows there were and the SHA-256 of all lines before. Image data is not in it, nor are keys of tokens.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::pages::{self, Cell};
use super::{CareError, Progress, Step};
use crate::json::{self, Json};
use crate::json_object;
use crate::store::schema::Table;
use crate::store::{Store, StoreError, Tx, migrate};

/// The version of the form of these lines.
pub const FORMAT: i64 = 1;

/// Writes everything, as it was at one moment, and gives the number of rows. Others may go on writing meanwhile.
///
/// # Errors
/// The database's, or those of `out`.
pub async fn export(
    store: &Store,
    out: impl Write + Send + 'static,
    mut heard: impl FnMut(Step<'_>) + Send + 'static,
) -> Result<u64, CareError> {
    let mut out = Some(out);
    let script = move |tx: &mut dyn Tx| match out.take() {
        Some(out) => Lines::to(out).everything(tx, &mut heard),
        // what is written cannot be taken back, so a script that was begun is not begun again
        None => Err(StoreError::Unavailable("the connection was lost during the export; begin again".into()).into()),
    };
    store.read(script).await
}

/// The tables whose rows are content.
pub fn content() -> Vec<Table> {
    migrate::tables().into_iter().filter(|table| table.name != "import_progress").collect()
}

/// Lines on their way out.
struct Lines<W> {
    out: W,
    digest: Sha256,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    fn to(out: W) -> Lines<W> {
        Lines { out, digest: Sha256::new(), line: Vec::new() }
    }

    fn everything(mut self, tx: &mut dyn Tx, heard: Progress<'_>) -> Result<u64, CareError> {
        let tables = content();
        let mut total = 0;
        for table in &tables {
            total += pages::count(tx, table)?;
        }
        self.write(&json_object! { "kilonova_export": FORMAT, "schema": migrate::newest() }.into())?;
        let mut done = 0;
        let mut counts = json::Object::new();
        for table in &tables {
            let before = done;
            let columns: Json = table.columns.iter().map(|column| column.name.as_str()).collect();
            self.write(&json_object! { "table": table.name.as_str(), "columns": columns }.into())?;
            pages::each_row(tx, table, |row| {
                done += 1;
                heard(Step { what: &table.name, done, total: Some(total) });
                self.write(&row.iter().map(json_of).collect())
            })?;
            counts.insert(table.name.as_str(), done - before);
        }
        let digest = hex(&self.digest.clone().finalize());
        self.write(&json_object! { "end": json_object! { "rows": counts, "sha256": digest } }.into())?;
        self.out.flush().map_err(|cause| CareError::File { what: "the export".into(), cause })?;
        Ok(done)
    }

    fn write(&mut self, json: &Json) -> Result<(), CareError> {
        self.line.clear();
        json::write(json, &mut self.line);
        self.line.push(b'\n');
        self.digest.update(&self.line);
        self.out.write_all(&self.line).map_err(|cause| CareError::File { what: "the export".into(), cause })
    }
}

fn json_of(cell: &Cell) -> Json {
    match cell {
        Cell::Null => Json::Null,
        Cell::Int(number) => Json::from(*number),
        Cell::Text(text) => Json::from(text),
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
