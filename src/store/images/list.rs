//! Lists of images by page: which are in it, in which order, and where it goes on. What SQL can decide with an index it decides;
//! tags and properties, which lie in one column each, are looked at row by row.

use super::{COLUMNS, image};
use crate::model::ids::{ImageId, ProjectId};
use crate::model::image::{Image, MemberStatus, Visibility};
use crate::policy::Guarded;
use crate::store::{StoreError, Tx, Value};

/// How many rows are read at a time where not every row is in the list.
const BATCH: usize = 500;

/// A list that is wanted.
#[derive(Debug, Clone)]
pub struct List {
    /// For whom.
    pub visible: Visible,
    /// All conditions must hold.
    pub conditions: Vec<Condition>,
    /// Tags that all must be there.
    pub tags: Vec<String>,
    /// Properties with the values they must have.
    pub properties: Vec<(String, String)>,
    /// The order. `id` must be in it, so that it is one.
    pub sort: Vec<(SortKey, Direction)>,
    /// The image after which the page begins.
    pub after: Option<Image>,
    /// At most so many.
    pub limit: usize,
}

/// Which images may be in a list.
#[derive(Debug, Clone)]
pub enum Visible {
    /// Those of everybody: an administrator's.
    All,
    /// The project's own, those open to everybody, and those shared with it whose sharing it has answered so
    /// (`None`: in whatever way).
    To(ProjectId, Option<MemberStatus>),
}

/// A condition that SQL decides.
#[derive(Debug, Clone)]
pub enum Condition {
    /// A column is this text.
    Is(Column, String),
    /// A column is one of these texts.
    IsIn(Column, Vec<String>),
    /// A flag.
    Flag(Column, bool),
    /// A number compares so (one of `=`, `!=`, `<`, `<=`, `>`, `>=`) to another.
    Compares(Column, &'static str, i64),
    /// Not open to all who know the id, or the project's own: what lists show unless they are asked for a visibility.
    NotCommunityUnlessOf(Option<ProjectId>),
    /// Among these ids.
    Ids(Vec<ImageId>),
}

/// A column that conditions may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of the table, by name")]
pub enum Column {
    Owner,
    Name,
    Status,
    Visibility,
    Protected,
    OsHidden,
    DiskFormat,
    ContainerFormat,
    MinRam,
    MinDisk,
    Size,
    Checksum,
    OsHashAlgo,
    OsHashValue,
    CreatedAt,
    UpdatedAt,
}

impl Column {
    const fn sql(self) -> &'static str {
        match self {
            Column::Owner => "owner",
            Column::Name => "name",
            Column::Status => "status",
            Column::Visibility => "visibility",
            Column::Protected => "protected",
            Column::OsHidden => "os_hidden",
            Column::DiskFormat => "disk_format",
            Column::ContainerFormat => "container_format",
            Column::MinRam => "min_ram",
            Column::MinDisk => "min_disk",
            Column::Size => "size",
            Column::Checksum => "checksum",
            Column::OsHashAlgo => "os_hash_algo",
            Column::OsHashValue => "os_hash_value",
            Column::CreatedAt => "created_at",
            Column::UpdatedAt => "updated_at",
        }
    }
}

/// What a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of the table, by name")]
pub enum SortKey {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

/// Upwards or downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// What a sort key is in one image; nothing counts as empty, or as 0.
enum Place {
    Text(String),
    Int(i64),
}

impl SortKey {
    /// The key as SQL sorts by it.
    const fn sql(self) -> &'static str {
        match self {
            SortKey::Name => "sort_name",
            SortKey::Status => "status",
            SortKey::ContainerFormat => "COALESCE(container_format, '')",
            SortKey::DiskFormat => "COALESCE(disk_format, '')",
            SortKey::Size => "COALESCE(size, 0)",
            SortKey::Id => "id",
            SortKey::CreatedAt => "created_at",
            SortKey::UpdatedAt => "updated_at",
        }
    }

    fn of(self, image: &Image) -> Place {
        match self {
            SortKey::Name => Place::Text(image.name.clone().unwrap_or_default()),
            SortKey::Status => Place::Text(image.status.as_str().to_owned()),
            SortKey::ContainerFormat => Place::Text(image.container_format.clone().unwrap_or_default()),
            SortKey::DiskFormat => Place::Text(image.disk_format.clone().unwrap_or_default()),
            SortKey::Size => Place::Int(image.size.unwrap_or(0)),
            SortKey::Id => Place::Text(image.id.to_string()),
            SortKey::CreatedAt => Place::Int(image.created_at.microseconds()),
            SortKey::UpdatedAt => Place::Int(image.updated_at.microseconds()),
        }
    }
}

/// One page of a list.
///
/// # Errors
/// The engine's.
pub fn list(tx: &mut dyn Tx, wanted: &List) -> Result<Vec<Guarded<Image>>, StoreError> {
    let all_rows_count = wanted.tags.is_empty() && wanted.properties.is_empty();
    let batch = if all_rows_count { wanted.limit } else { BATCH };
    let mut found: Vec<Image> = Vec::new();
    let mut after = wanted.after.clone();
    loop {
        let mut rows = rows(tx, wanted, after.as_ref(), batch)?;
        let is_last = rows.len() < batch;
        after = rows.last().cloned();
        rows.retain(|image| holds(wanted, image));
        found.append(&mut rows);
        if is_last || found.len() >= wanted.limit {
            found.truncate(wanted.limit);
            return Ok(found.into_iter().map(Guarded::new).collect());
        }
    }
}

fn holds(wanted: &List, image: &Image) -> bool {
    wanted.tags.iter().all(|tag| image.tags.contains(tag))
        && wanted.properties.iter().all(|(name, value)| image.properties.get(name) == Some(value))
}

/// The order, without what all of the list have in common: those of one name go by age, in which an index has them.
fn sort(wanted: &List, after: Option<&Image>) -> Vec<(SortKey, Direction)> {
    let is_of_one_name = wanted.conditions.iter().any(|condition| match condition {
        Condition::Is(Column::Name, name) => after.is_none_or(|after| after.name.as_ref() == Some(name)),
        _ => false,
    });
    let is_needed = |(key, _): &&(SortKey, Direction)| !(is_of_one_name && *key == SortKey::Name);
    wanted.sort.iter().filter(is_needed).copied().collect()
}

fn rows(tx: &mut dyn Tx, wanted: &List, after: Option<&Image>, limit: usize) -> Result<Vec<Image>, StoreError> {
    let sort = sort(wanted, after);
    let mut query = Query::default();
    wanted.conditions.iter().for_each(|condition| query.condition(condition));
    if let Some(after) = after {
        query.after(&sort, after);
    }
    let common = std::mem::take(&mut query.sql);
    let keys: String = sort.iter().enumerate().map(|(at, (key, _))| format!(", {} AS key{at}", key.sql())).collect();
    let parts: Vec<String> = parts(wanted, &mut query)
        .into_iter()
        .map(|part| {
            let conditions: Vec<&str> =
                [common.as_str(), part.as_str()].into_iter().filter(|sql| !sql.is_empty()).collect();
            let all = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
            format!("SELECT {COLUMNS}{keys} FROM images WHERE {all}")
        })
        .collect();
    let order: Vec<String> = sort.iter().enumerate().map(|(at, (_, way))| format!("key{at} {}", way.sql())).collect();
    let limit = query.place(Place::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    let sql = tx.page_of(&parts, &order.join(", "), &limit);
    let values: Vec<Value<'_>> = query.values.iter().map(Place::value).collect();
    let mut images = tx.all(&sql, &values, image)?;
    if let Visible::To(project, _) = &wanted.visible {
        // the query found those of others that are shared by asking for members: whoever sees one is one
        let shared =
            images.iter_mut().filter(|image| image.visibility == Visibility::Shared && image.owner != *project);
        shared.for_each(|image| image.member = Some(project.clone()));
    }
    Ok(images)
}

/// The conditions of the parts that a list is put together from: one for each way in which an image can be visible, each of which an index
/// has in order. No image is in two of them. What a condition on the visibility excludes is left out.
fn parts(wanted: &List, query: &mut Query) -> Vec<String> {
    let Visible::To(project, status) = &wanted.visible else { return vec![String::new()] };
    let owner = query.text(project.as_str());
    let may_be = |visibility: Visibility| {
        wanted.conditions.iter().all(|condition| match condition {
            Condition::Is(Column::Visibility, text) => text == visibility.as_str(),
            Condition::NotCommunityUnlessOf(_) => visibility != Visibility::Community,
            _ => true,
        })
    };
    let mut parts = vec![format!("owner = {owner}")];
    for open in [Visibility::Public, Visibility::Community].into_iter().filter(|open| may_be(*open)) {
        parts.push(format!("visibility = '{}' AND owner <> {owner}", open.as_str()));
    }
    if may_be(Visibility::Shared) {
        let answered =
            status.map(|status| format!(" AND status = {}", query.text(status.as_str()))).unwrap_or_default();
        // said in this way no index on the visibility fits: those shared with this project are few among all that are shared
        parts.push(format!(
            "id IN (SELECT image_id FROM image_members WHERE member_id = {owner}{answered}) \
             AND visibility NOT IN ('public', 'private', 'community') AND owner <> {owner}"
        ));
    }
    parts
}

impl Direction {
    const fn sql(self) -> &'static str {
        match self {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        }
    }
}

impl Place {
    fn value(&self) -> Value<'_> {
        match self {
            Place::Text(text) => Value::Text(text),
            Place::Int(number) => Value::Int(*number),
        }
    }
}

/// A WHERE clause in the making, with the values of its parameters.
#[derive(Default)]
struct Query {
    sql: String,
    values: Vec<Place>,
}

impl Query {
    fn place(&mut self, value: Place) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn text(&mut self, text: &str) -> String {
        self.place(Place::Text(text.to_owned()))
    }

    fn and(&mut self, condition: &str) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(condition);
    }

    fn condition(&mut self, condition: &Condition) {
        let sql = match condition {
            // as the indexes by name have it; an image without a name has none, not an empty one
            Condition::Is(Column::Name, text) => {
                format!("{} = {} AND name IS NOT NULL", SortKey::Name.sql(), self.text(text))
            }
            Condition::Is(column, text) => format!("{} = {}", column.sql(), self.text(text)),
            Condition::IsIn(column, texts) => self.one_of(column.sql(), texts),
            Condition::Ids(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                self.one_of("id", &ids)
            }
            Condition::Flag(column, is) => format!("{} = {}", column.sql(), self.place(Place::Int((*is).into()))),
            Condition::Compares(column, operator, number) => {
                format!("{} {operator} {}", column.sql(), self.place(Place::Int(*number)))
            }
            Condition::NotCommunityUnlessOf(None) => "visibility <> 'community'".to_owned(),
            Condition::NotCommunityUnlessOf(Some(project)) => {
                format!("(visibility <> 'community' OR owner = {})", self.text(project.as_str()))
            }
        };
        self.and(&sql);
    }

    fn one_of(&mut self, column: &str, texts: &[String]) -> String {
        if texts.is_empty() {
            return "1 = 0".to_owned();
        }
        let places: Vec<String> = texts.iter().map(|text| self.text(text)).collect();
        format!("{column} IN ({})", places.join(", "))
    }

    /// Whatever comes behind an image: where all keys go the same way that is one comparison, which an index can begin at; else it is
    /// equal in the first keys and behind it in the next, for each key.
    fn after(&mut self, sort: &[(SortKey, Direction)], after: &Image) {
        let Some((first, way)) = sort.first() else { return };
        let beyond = |way: &Direction| if *way == Direction::Ascending { ">" } else { "<" };
        let keys: Vec<&str> = sort.iter().map(|(key, _)| key.sql()).collect();
        let places: Vec<String> = sort.iter().map(|(key, _)| self.place(key.of(after))).collect();
        if sort.iter().all(|(_, other)| other == way) {
            self.and(&format!("({}) {} ({})", keys.join(", "), beyond(way), places.join(", ")));
            return;
        }
        let case = |at: usize| {
            let equal: String = (0..at).map(|before| format!("{} = {} AND ", keys[before], places[before])).collect();
            format!("({equal}{} {} {})", keys[at], beyond(&sort[at].1), places[at])
        };
        let cases: Vec<String> = (0..sort.len()).map(case).collect();
        // the first comparison says nothing new, but an index can begin at it
        self.and(&format!("{} {}= {} AND ({})", first.sql(), beyond(way), places[0], cases.join(" OR ")));
    }
}
