//! Whole tables, row by row in the order of their keys: a page at a time, so that memory does not grow with the table.

use crate::store::schema::{Kind, Table};
use crate::store::{Row, StoreError, Tx, Value};

/// Rows that are held at a time. A row may have 60 KB of metadata.
const PAGE_ROWS: usize = 256;

/// What a column of a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// NULL.
    Null,
    /// A number.
    Int(i64),
    /// Text.
    Text(String),
}

impl<'a> From<&'a Cell> for Value<'a> {
    fn from(cell: &'a Cell) -> Value<'a> {
        match cell {
            Cell::Null => Value::Null,
            Cell::Int(number) => Value::Int(*number),
            Cell::Text(text) => Value::Text(text),
        }
    }
}

/// Hands over every row of a table.
///
/// # Errors
/// The engine's, or what `each` returns, which ends the reading.
pub fn each_row<E: From<StoreError>>(
    tx: &mut dyn Tx,
    table: &Table,
    mut each: impl FnMut(&[Cell]) -> Result<(), E>,
) -> Result<(), E> {
    let mut after: Vec<Cell> = Vec::new();
    loop {
        let parameters: Vec<Value<'_>> = after.iter().map(Value::from).collect();
        let sql = if after.is_empty() { first_page(table) } else { next_page(table) };
        let rows = tx.all(&sql, &parameters, |row| cells(row, table))?;
        for row in &rows {
            each(row)?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE_ROWS => after = table.key.iter().map(|at| last[*at].clone()).collect(),
            _ => return Ok(()),
        }
    }
}

/// How many rows a table has.
///
/// # Errors
/// The engine's.
pub fn count(tx: &mut dyn Tx, table: &Table) -> Result<u64, StoreError> {
    let count = tx.number(&format!("SELECT count(*) FROM {}", table.name), &[])?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn first_page(table: &Table) -> String {
    let (columns, key) = (table.column_list(), key_list(table));
    format!("SELECT {columns} FROM {} ORDER BY {key} LIMIT {PAGE_ROWS}", table.name)
}

fn next_page(table: &Table) -> String {
    let (columns, key) = (table.column_list(), key_list(table));
    let places: Vec<String> = (1..=table.key.len()).map(|place| format!("${place}")).collect();
    format!(
        "SELECT {columns} FROM {} WHERE ({key}) > ({}) ORDER BY {key} LIMIT {PAGE_ROWS}",
        table.name,
        places.join(", ")
    )
}

fn key_list(table: &Table) -> String {
    let names: Vec<&str> = table.key.iter().map(|at| table.columns[*at].name.as_str()).collect();
    names.join(", ")
}

fn cells(row: &dyn Row, table: &Table) -> Result<Vec<Cell>, StoreError> {
    let cell = |(at, kind): (usize, Kind)| {
        if row.is_null(at) {
            return Ok(Cell::Null);
        }
        match kind {
            Kind::Int => row.int(at).map(Cell::Int),
            Kind::Text => row.text(at).map(|text| Cell::Text(text.to_owned())),
        }
    };
    table.columns.iter().map(|column| column.kind).enumerate().map(cell).collect()
}
