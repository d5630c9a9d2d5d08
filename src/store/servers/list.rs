//! Lists of servers by page: which rows are in them, in which order, and where they go on. What SQL can decide it decides, along an index in
//! the order of the list.

use super::{COLUMNS, server};
use crate::model::ids::{ProjectId, ServerId};
use crate::model::server_record::Server;
use crate::model::time::Timestamp;
use crate::policy::Guarded;
use crate::store::{StoreError, Tx, Value};

/// Which rows a list looks at, as far as the database decides it.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of one project.
    pub project: Option<ProjectId>,
    /// Of one user.
    pub user: Option<String>,
    /// Deleted or not.
    pub existing: Existing,
    /// One of these.
    pub vm_states: Option<Vec<String>>,
    /// One of these.
    pub task_states: Option<Vec<String>>,
    /// Made from this image.
    pub image: Option<String>,
    /// Of this flavor.
    pub flavor: Option<String>,
    /// This one.
    pub id: Option<String>,
    /// Locked or not.
    pub locked: Option<bool>,
    /// Changed at this moment or later.
    pub changed_since: Option<Timestamp>,
    /// Changed at this moment or earlier.
    pub changed_before: Option<Timestamp>,
    /// What orders them.
    pub key: Key,
    /// The smallest key first; else the largest.
    pub ascending: bool,
    /// Behind this place.
    pub after: Option<Place>,
}

/// What orders a list, where an index has that order. Of equals the id decides, in the same direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Key {
    /// When a server was made.
    #[default]
    Age,
    /// What it is called.
    Name,
}

impl Key {
    const fn column(self) -> &'static str {
        match self {
            Key::Age => "created_at",
            Key::Name => "name",
        }
    }
}

/// Where a server stands in the order of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    created_at: i64,
    name: String,
    id: String,
}

impl Place {
    /// That of a server.
    pub fn of(server: &Server) -> Place {
        Place { created_at: server.created_at.microseconds(), name: server.name.clone(), id: server.id.to_string() }
    }
}

/// Where a server stands in the order of lists, deleted or not; of this project, if one is named.
///
/// # Errors
/// The engine's.
pub fn place(tx: &mut dyn Tx, id: &str, project: Option<&ProjectId>) -> Result<Option<Place>, StoreError> {
    let Ok(number) = id.parse::<ServerId>().map(|id| id.number()) else { return Ok(None) };
    tx.first(
        "SELECT created_at, name, id FROM servers WHERE number = $1 AND id = $2 AND ($3 = '' OR project_id = $3)",
        &[number.into(), id.into(), project.map_or("", ProjectId::as_str).into()],
        |row| Ok(Place { created_at: row.int(0)?, name: row.text(1)?.to_owned(), id: row.text(2)?.to_owned() }),
    )
}

/// Whether lists show what is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// What is there.
    #[default]
    Alive,
    /// That, and what can be restored.
    AliveOrRestorable,
    /// What is gone, for good or not.
    Gone,
    /// What is gone for good.
    GoneForGood,
    /// Everything.
    Any,
}

/// So many rows are read at once where nobody knows how many will be wanted.
pub const BATCH: usize = 500;

/// The first of the selected servers, so many at most.
///
/// # Errors
/// The engine's.
pub fn page(tx: &mut dyn Tx, selection: &Selection, count: usize) -> Result<Vec<Guarded<Server>>, StoreError> {
    Ok(rows(tx, selection, count)?.into_iter().map(Guarded::new).collect())
}

fn rows(tx: &mut dyn Tx, selection: &Selection, count: usize) -> Result<Vec<Server>, StoreError> {
    let (sql, values) = selection.sql(tx, count);
    let values: Vec<Value<'_>> = values.iter().map(Owned::value).collect();
    tx.all(&sql, &values, server)
}

/// Hands over the selected servers in their order, reading so many rows at once, until there are no more or `each` has enough and
/// says `false`.
///
/// # Errors
/// The engine's.
pub fn walk(
    tx: &mut dyn Tx,
    selection: &Selection,
    at_once: usize,
    mut each: impl FnMut(Guarded<Server>) -> bool,
) -> Result<(), StoreError> {
    let mut selection = selection.clone();
    loop {
        let servers = rows(tx, &selection, at_once)?;
        let is_last = servers.len() < at_once;
        selection.after = servers.last().map(Place::of);
        for server in servers {
            if !each(Guarded::new(server)) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

enum Owned {
    Text(String),
    Int(i64),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Owned::Text(text) => text.into(),
            Owned::Int(int) => (*int).into(),
        }
    }
}

/// Conditions in the making; parameters are numbered as they come.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Owned>,
}

impl Conditions {
    fn bind(&mut self, value: Owned) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn text(&mut self, before: &str, value: Option<&str>) {
        if let Some(value) = value {
            let parameter = self.bind(Owned::Text(value.to_owned()));
            self.sql.push(format!("{before} {parameter}"));
        }
    }

    fn int(&mut self, before: &str, value: Option<i64>) {
        if let Some(value) = value {
            let parameter = self.bind(Owned::Int(value));
            self.sql.push(format!("{before} {parameter}"));
        }
    }

    fn among(&mut self, column: &str, values: Option<&[String]>) {
        if let Some(values) = values {
            let parameters: Vec<String> = values.iter().map(|value| self.bind(Owned::Text(value.clone()))).collect();
            self.sql.push(format!("{column} IN ({})", parameters.join(", ")));
        }
    }
}

impl Selection {
    /// One query for each half of the index on `deleted` that is wanted.
    fn sql(&self, tx: &dyn Tx, count: usize) -> (String, Vec<Owned>) {
        let mut conditions = Conditions::default();
        conditions.text("project_id =", self.project.as_ref().map(ProjectId::as_str));
        conditions.text("user_id =", self.user.as_deref());
        conditions.among("vm_state", self.vm_states.as_deref());
        conditions.among("task_state", self.task_states.as_deref());
        conditions.text("image_id =", self.image.as_deref());
        conditions.text("flavor_id =", self.flavor.as_deref());
        // what is no id is nobody's, and is not looked for
        let number = |id: &str| id.parse::<ServerId>().map_or(-1, |id| id.number());
        conditions.int("number =", self.id.as_deref().map(number));
        conditions.text("id =", self.id.as_deref());
        conditions.int("locked =", self.locked.map(i64::from));
        conditions.int("updated_at >=", self.changed_since.map(Timestamp::microseconds));
        conditions.int("updated_at <=", self.changed_before.map(Timestamp::microseconds));
        let key = self.key.column();
        let (beyond, order) = if self.ascending { (">", "ASC") } else { ("<", "DESC") };
        if let Some(place) = &self.after {
            let at = conditions.bind(match self.key {
                Key::Age => Owned::Int(place.created_at),
                Key::Name => Owned::Text(place.name.clone()),
            });
            let id = conditions.bind(Owned::Text(place.id.clone()));
            conditions.sql.push(format!("({key}, id) {beyond} ({at}, {id})"));
        }
        let halves = self.existing.halves().iter().map(|half| {
            let all = std::iter::once(*half).chain(conditions.sql.iter().map(String::as_str)).collect::<Vec<_>>();
            format!("SELECT {COLUMNS} FROM servers WHERE {}", all.join(" AND "))
        });
        let halves: Vec<String> = halves.collect();
        let limit = conditions.bind(Owned::Int(i64::try_from(count).unwrap_or(i64::MAX)));
        (tx.page_of(&halves, &format!("{key} {order}, id {order}"), &limit), conditions.values)
    }
}

impl Existing {
    fn halves(self) -> &'static [&'static str] {
        match self {
            Existing::Alive => &["deleted = 0 AND vm_state <> 'soft-delete'"],
            Existing::AliveOrRestorable => &["deleted = 0"],
            Existing::Gone => &["deleted = 1", "deleted = 0 AND vm_state = 'soft-delete'"],
            Existing::GoneForGood => &["deleted = 1"],
            Existing::Any => &["deleted = 0", "deleted = 1"],
        }
    }
}
