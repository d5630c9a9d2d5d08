//! Which tables there are, with their columns and keys: read from the migrations themselves, so that a new column cannot be forgotten
//! by whoever copies whole tables. A test compares it with what each engine says of a real database. Nothing else of SQL is understood here.

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in the order in which the migrations make them.
    pub columns: Vec<Column>,
    /// The places of the primary key's columns, in the key's order.
    pub key: Vec<usize>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds, or NULL.
    pub kind: Kind,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `BIGINT`.
    Int,
    /// `TEXT`.
    Text,
}

impl Table {
    /// The names of all columns, with commas between.
    pub fn column_list(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }

    /// Where a column stands.
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|candidate| candidate.name == column)
    }

    fn new(name: &str, body: &str) -> Table {
        let mut table = Table { name: name.to_owned(), columns: Vec::new(), key: Vec::new() };
        for part in top_level_parts(body) {
            if let Some(names) = part.strip_prefix("PRIMARY KEY") {
                let names = names.trim().trim_matches(['(', ')']).split(',');
                table.key = names.filter_map(|name| table.place(name.trim())).collect();
            } else if !["UNIQUE", "FOREIGN KEY", "CHECK", "CONSTRAINT"].iter().any(|word| part.starts_with(word)) {
                table.add(part);
            }
        }
        table
    }

    /// Adds the column of a definition such as `id TEXT PRIMARY KEY`.
    fn add(&mut self, definition: &str) {
        let mut words = definition.split_whitespace();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else { return };
        let kind = if kind == "TEXT" { Kind::Text } else { Kind::Int };
        self.columns.push(Column { name: name.to_owned(), kind });
        if definition.contains("PRIMARY KEY") {
            self.key = vec![self.columns.len() - 1];
        }
    }
}

/// Every table that the statements leave behind, in the order in which they make them: a table comes after those it refers to.
pub fn tables<'a>(steps: impl IntoIterator<Item = &'a str>) -> Vec<Table> {
    let mut tables = Vec::new();
    for statement in steps.into_iter().flat_map(statements) {
        follow(&statement, &mut tables);
    }
    tables
}

/// The statements of a migration, without its comments.
pub fn statements(step: &str) -> Vec<String> {
    let code = step.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    code.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

fn follow(statement: &str, tables: &mut Vec<Table>) {
    if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
        let (name, body) = rest.split_once('(').unwrap_or((rest, ""));
        tables.push(Table::new(name.trim(), body.trim_end().strip_suffix(')').unwrap_or(body)));
    } else if let Some(name) = statement.strip_prefix("DROP TABLE ") {
        tables.retain(|table| table.name != name.trim());
    } else if let Some((name, change)) = statement.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(' ')) {
        let Some(table) = tables.iter_mut().find(|table| table.name == name) else { return };
        if let Some(definition) = change.trim().strip_prefix("ADD COLUMN ") {
            table.add(definition);
        } else if let Some(name) = change.trim().strip_prefix("RENAME TO ") {
            table.name = name.trim().to_owned();
        }
    }
}

/// What stands between the commas that are in no parentheses.
fn top_level_parts(body: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(body[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(body[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [&str; 2] = [
        "-- Why; and how.\nCREATE TABLE a (\n    id TEXT PRIMARY KEY, -- one, two\n    n BIGINT NOT NULL REFERENCES b (id),\n    UNIQUE (id, n)\n);\n\
         CREATE INDEX a_by_n ON a (n);\nCREATE TABLE gone (id TEXT PRIMARY KEY);\n",
        "CREATE TABLE b (\n x TEXT NOT NULL,\n y BIGINT,\n PRIMARY KEY (y, x)\n);\nDROP TABLE gone;\nALTER TABLE a ADD COLUMN late TEXT;\nALTER TABLE b RENAME TO c;\n",
    ];

    #[test]
    fn tables_are_what_the_statements_leave() {
        let tables = tables(STEPS);
        let seen: Vec<_> =
            tables.iter().map(|table| (table.name.as_str(), table.column_list(), table.key.clone())).collect();
        assert_eq!(seen, [("a", "id, n, late".to_owned(), vec![0]), ("c", "x, y".to_owned(), vec![1, 0])]);
    }

    #[test]
    fn a_column_is_a_number_or_text() {
        let kinds: Vec<Kind> = tables(STEPS)[0].columns.iter().map(|column| column.kind).collect();
        assert_eq!(kinds, [Kind::Text, Kind::Int, Kind::Text]);
    }
}
