//! A row of PostgreSQL's, read as the store wants it.

use tokio_postgres::types::{FromSql, Type};

use crate::store::engine::{Row, StoreError};

/// A row.
pub struct PostgresRow<'a>(pub &'a tokio_postgres::Row);

/// A column of any type, as it came.
struct Raw<'a> {
    kind: Type,
    bytes: Option<&'a [u8]>,
}

type Trouble = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(kind: &Type, bytes: &'a [u8]) -> Result<Self, Trouble> {
        Ok(Raw { kind: kind.clone(), bytes: Some(bytes) })
    }

    fn from_sql_null(kind: &Type) -> Result<Self, Trouble> {
        Ok(Raw { kind: kind.clone(), bytes: None })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl PostgresRow<'_> {
    fn raw(&self, column: usize) -> Result<(Type, &[u8]), StoreError> {
        let damaged = |what: &dyn std::fmt::Display| StoreError::Damaged(format!("column {column}: {what}"));
        let raw: Raw<'_> = self.0.try_get(column).map_err(|error| damaged(&error))?;
        let bytes = raw.bytes.ok_or_else(|| damaged(&"NULL"))?;
        Ok((raw.kind, bytes))
    }
}

impl Row for PostgresRow<'_> {
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        let (kind, bytes) = self.raw(column)?;
        let number = match kind {
            Type::INT4 => i32::from_sql(&kind, bytes).map(i64::from),
            Type::INT2 => i16::from_sql(&kind, bytes).map(i64::from),
            Type::BOOL => bool::from_sql(&kind, bytes).map(i64::from),
            _ if <i64 as FromSql>::accepts(&kind) => i64::from_sql(&kind, bytes),
            _ => Err(format!("{kind} is no number").into()),
        };
        number.map_err(|error| StoreError::Damaged(format!("column {column}: {error}")))
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        let (_, bytes) = self.raw(column)?;
        std::str::from_utf8(bytes).map_err(|error| StoreError::Damaged(format!("column {column}: {error}")))
    }

    fn is_null(&self, column: usize) -> bool {
        matches!(self.0.try_get::<_, Raw<'_>>(column), Ok(Raw { bytes: None, .. }))
    }
}
