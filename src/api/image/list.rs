//! Lists of images: what a query asks for, put into the store's words, and pages of it (glance/api/v2/images.py `index`,
//! glance/db/sqlalchemy/api.py).

use super::policy::{GetImage, GetImages};
use super::view;
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Route, get, prove};
use crate::api::fault::Fault;
use crate::api::query::{Query, percent_encoded};
use crate::json::Json;
use crate::json_object;
use crate::model::ids::ImageId;
use crate::model::image::{Image, MemberStatus};
use crate::model::time::Timestamp;
use crate::policy::Allowed;
use crate::store::Tx;
use crate::store::images::{self, Column, Condition, Direction, List as Wanted, SortKey, Visible};

/// How many images a page has that says nothing of it (Glance's `limit_param_default`).
const LIMIT_DEFAULT: usize = 25;
/// How many images a page has at most (Glance's `api_limit_max`).
const LIMIT_MAX: usize = 1000;

/// Lists images.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get("/v2/images");
    const DOC: &'static str = "Lists the images that the caller may use, the newest first: their own, public ones, and those \
        shared with them that they have accepted. `name`, `id`, `status`, `owner`, `visibility`, `tag`, `size_min`, `created_at` \
        and any property narrow it down; `sort`, `limit` and `marker` order it and cut it into pages.";
    const QUERY: QueryRule = QueryRule::Own;
    type Action = GetImages;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<GetImages>, call: &Call, (): &()) -> Result<Json, Error> {
        let mut wanted = wanted(call, &call.query)?;
        if let Some(marker) = call.query.last("marker") {
            wanted.after = Some(marked(tx, call, marker)?);
        }
        let limit = wanted.limit;
        let (images, count) = page(tx, call, &wanted)?;
        let shown: Vec<Json> = images.iter().map(|image| view::image(image).into()).collect();
        let mut body = json_object! { "images": shown, "first": link(call, None), "schema": "/v2/schemas/images" };
        if let Some(last) = images.last().filter(|_| count == limit) {
            body.insert("next", link(call, Some(last.id)));
        }
        Ok(body.into())
    }
}

/// The images of a page that the caller may see, and how many there were before anybody asked the rules.
pub(in crate::api) fn page(tx: &mut dyn Tx, call: &Call, wanted: &Wanted) -> Result<(Vec<Image>, usize), Error> {
    let found = if wanted.limit == 0 { Vec::new() } else { images::list(tx, wanted)? };
    let count = found.len();
    let mut seen = Vec::with_capacity(count);
    for image in found {
        match prove::<GetImage>(call, image) {
            Ok(image) => seen.push(image.into_target()),
            Err(Error::Refused(asked @ crate::policy::Refused::Ask(_))) => return Err(asked.into()),
            Err(_) => {}
        }
    }
    Ok((seen, count))
}

/// The image after which a page begins.
pub(in crate::api) fn marked(tx: &mut dyn Tx, call: &Call, marker: &str) -> Result<Image, Error> {
    let absent = || Error::from(Fault::bad_request(format!("No image found with ID {marker}")));
    let id: ImageId = marker.parse().map_err(|_| absent())?;
    let found = images::find(tx, id, call.who()?.project_id.as_ref())?.ok_or_else(absent)?;
    match prove::<GetImage>(call, found) {
        Ok(image) => Ok(image.into_target()),
        Err(Error::Refused(asked)) => Err(asked.into()),
        Err(_) => Err(absent()),
    }
}

/// `/v2/images` with the query it came with, and the marker of the next page.
fn link(call: &Call, marker: Option<ImageId>) -> String {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, _) in call.query.iter().filter(|(name, _)| *name != "marker") {
        if !pairs.iter().any(|(known, _)| *known == name) {
            pairs.push((name, call.query.last(name).unwrap_or_default()));
        }
    }
    let marker = marker.map(|id| id.to_string());
    pairs.extend(marker.as_deref().map(|id| ("marker", id)));
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value))).collect();
    if pairs.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{}", pairs.join("&")) }
}

/// What a query asks for, but for its marker.
pub(in crate::api) fn wanted(call: &Call, query: &Query) -> Result<Wanted, Error> {
    let mut wanted = Wanted {
        visible: visible(call, query.last("member_status").unwrap_or("accepted"))?,
        conditions: Vec::new(),
        tags: query.all("tag").map(|tag| tag.trim().to_owned()).collect(),
        properties: Vec::new(),
        sort: sort(query)?,
        after: None,
        limit: limit(query.last("limit"))?,
    };
    let hidden = query.last("os_hidden").unwrap_or("false").to_ascii_lowercase();
    wanted.conditions.push(Condition::Flag(Column::OsHidden, flag("os_hidden", &hidden)?));
    match query.last("visibility").filter(|word| !word.is_empty()) {
        None => wanted.conditions.push(Condition::NotCommunityUnlessOf(call.who()?.project_id.clone())),
        Some("all") => {}
        Some(word @ ("community" | "public" | "private" | "shared")) => {
            wanted.conditions.push(Condition::Is(Column::Visibility, word.to_owned()));
        }
        Some(word) => return Err(Fault::bad_request(format!("Invalid visibility value: {word}")).into()),
    }
    const ELSEWHERE: [&str; 10] = [
        "limit",
        "marker",
        "member_status",
        "tag",
        "sort",
        "sort_key",
        "sort_dir",
        "os_hidden",
        "visibility",
        "changes-since",
    ];
    if query.last("changes-since").is_some_and(|value| !value.is_empty()) {
        return Err(Fault::bad_request("The \"changes-since\" filter is no longer available on v2.").into());
    }
    let mut seen: Vec<&str> = ELSEWHERE.to_vec();
    for (name, _) in query.iter() {
        if !seen.contains(&name) {
            seen.push(name);
            narrow(&mut wanted, name, query.last(name).unwrap_or_default())?;
        }
    }
    Ok(wanted)
}

fn visible(call: &Call, member_status: &str) -> Result<Visible, Error> {
    let answered: Option<MemberStatus> = match member_status {
        "all" => None,
        word => Some(word.parse().map_err(|_| Fault::bad_request(format!("Invalid status: {word}")))?),
    };
    if call.who()?.is_admin { Ok(Visible::All) } else { Ok(Visible::To(call.project()?.clone(), answered)) }
}

fn limit(text: Option<&str>) -> Result<usize, Fault> {
    let Some(text) = text else { return Ok(LIMIT_DEFAULT) };
    let number: i64 = text.trim().parse().map_err(|_| Fault::bad_request("limit param must be an integer"))?;
    let limit = usize::try_from(number).map_err(|_| Fault::bad_request("limit param must be positive"))?;
    Ok(limit.min(LIMIT_MAX))
}

fn flag(name: &str, word: &str) -> Result<bool, Fault> {
    match word {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::bad_request(format!(
            "Invalid value '{word}' for '{name}' filter. Valid values are 'true' or 'false'."
        ))),
    }
}

/// One filter.
fn narrow(wanted: &mut Wanted, name: &str, value: &str) -> Result<(), Fault> {
    let condition = match name {
        "id" => ids(value)?,
        "name" => text(Column::Name, value)?,
        "status" => text(Column::Status, value)?,
        "container_format" => text(Column::ContainerFormat, value)?,
        "disk_format" => text(Column::DiskFormat, value)?,
        "owner" => Condition::Is(Column::Owner, value.to_owned()),
        "checksum" => Condition::Is(Column::Checksum, value.to_owned()),
        "os_hash_algo" => Condition::Is(Column::OsHashAlgo, value.to_owned()),
        "os_hash_value" => Condition::Is(Column::OsHashValue, value.to_owned()),
        "protected" => Condition::Flag(Column::Protected, flag(name, value)?),
        "created_at" => moment(Column::CreatedAt, name, value)?,
        "updated_at" => moment(Column::UpdatedAt, name, value)?,
        "size" | "min_ram" | "min_disk" => match value.parse() {
            Ok(number) => Condition::Compares(number_column(name), "=", number),
            Err(_) => Condition::Ids(Vec::new()),
        },
        _ => match range(name, value)? {
            Some(condition) => condition,
            None => {
                wanted.properties.push((name.to_owned(), value.to_owned()));
                return Ok(());
            }
        },
    };
    wanted.conditions.push(condition);
    Ok(())
}

fn number_column(name: &str) -> Column {
    match name {
        "min_ram" => Column::MinRam,
        "min_disk" => Column::MinDisk,
        _ => Column::Size,
    }
}

/// `size_min` and its like.
fn range(name: &str, value: &str) -> Result<Option<Condition>, Fault> {
    let (field, operator) = match (name.strip_suffix("_min"), name.strip_suffix("_max")) {
        (Some(field), _) => (field, ">="),
        (_, Some(field)) => (field, "<="),
        (None, None) => return Ok(None),
    };
    if !["size", "min_ram", "min_disk"].contains(&field) {
        return Ok(None);
    }
    let number: i64 = value
        .trim()
        .parse()
        .map_err(|_| Fault::bad_request("Unable to filter on a range with a non-numeric value."))?;
    Ok(Some(Condition::Compares(number_column(field), operator, number)))
}

/// `value`, `eq:value` or `in:one,two`.
fn text(column: Column, value: &str) -> Result<Condition, Fault> {
    Ok(match operands(value)? {
        Operands::One(value) => Condition::Is(column, value),
        Operands::Several(values) => Condition::IsIn(column, values),
    })
}

fn ids(value: &str) -> Result<Condition, Fault> {
    let texts = match operands(value)? {
        Operands::One(value) => vec![value],
        Operands::Several(values) => values,
    };
    // what is no id is the id of no image
    Ok(Condition::Ids(texts.iter().filter_map(|text| text.parse().ok()).collect()))
}

enum Operands {
    One(String),
    Several(Vec<String>),
}

fn operands(value: &str) -> Result<Operands, Fault> {
    match value.split_once(':') {
        None => Ok(Operands::One(value.to_owned())),
        Some(("eq", value)) => Ok(Operands::One(value.to_owned())),
        Some(("in", values)) => Ok(Operands::Several(split(values)?)),
        Some((operator, _)) => Err(Fault::bad_request(format!("Unable to filter by unknown operator '{operator}'."))),
    }
}

/// Splits at commas that are not in quotes.
fn split(text: &str) -> Result<Vec<String>, Fault> {
    let refuse = |why: &str| Fault::bad_request(format!("Invalid filter value {text}. {why}"));
    let mut values = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(next) = chars.next() {
        let value = values.last_mut().expect("there is one from the start");
        match next {
            '\\' if is_quoted && chars.peek().is_some() => value.extend(chars.next()),
            '"' if is_quoted && chars.peek().is_some_and(|next| *next != ',') => {
                return Err(refuse("There is no comma after closing quotation mark."));
            }
            '"' if !is_quoted && !value.is_empty() => {
                return Err(refuse("There is no comma before opening quotation mark."));
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => values.push(String::new()),
            other => value.push(other),
        }
    }
    if is_quoted { Err(refuse("The quote is not closed.")) } else { Ok(values) }
}

/// A moment, or one of the comparisons with it: `gt:2026-01-01T00:00:00Z`.
fn moment(column: Column, name: &str, value: &str) -> Result<Condition, Fault> {
    let (operator, text) = match Timestamp::from_iso(value) {
        Ok(_) => ("eq", value),
        Err(_) => value.split_once(':').unwrap_or(("eq", value)),
    };
    let threshold = Timestamp::from_iso(text).map_err(|_| {
        Fault::bad_request(format!("Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation."))
    })?;
    let operator = match operator {
        "eq" => "=",
        "neq" => "<>",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        _ => return Err(Fault::bad_request(format!("Unable to filter by unknown operator '{operator}'."))),
    };
    Ok(Condition::Compares(column, operator, threshold.microseconds()))
}

/// `sort=name:asc,size`, or any number of `sort_key` and `sort_dir`.
fn sort(query: &Query) -> Result<Vec<(SortKey, Direction)>, Fault> {
    let (keys, directions): (Vec<SortKey>, Vec<Direction>) = match query.last("sort") {
        Some(_) if query.get("sort_key").is_some() || query.get("sort_dir").is_some() => {
            return Err(Fault::bad_request("Old and new sorting syntax cannot be combined"));
        }
        Some(sort) => {
            let pair = |part: &str| {
                let (key, direction) = part.split_once(':').unwrap_or((part, ""));
                let direction = if direction.is_empty() { "desc" } else { direction };
                Ok((sort_key(key.trim())?, sort_direction(direction.trim())?))
            };
            sort.trim().split(',').map(pair).collect::<Result<_, Fault>>()?
        }
        None => (
            query.all("sort_key").map(|key| sort_key(key.trim())).collect::<Result<_, _>>()?,
            query.all("sort_dir").map(|word| sort_direction(word.trim())).collect::<Result<_, _>>()?,
        ),
    };
    if directions.len() > 1 && directions.len() != keys.len() {
        return Err(Fault::bad_request("Number of sort dirs does not match the number of sort keys"));
    }
    Ok(order(keys, &directions))
}

/// An order in which no two images are equal.
fn order(mut keys: Vec<SortKey>, directions: &[Direction]) -> Vec<(SortKey, Direction)> {
    let usual = directions.first().copied().unwrap_or(Direction::Descending);
    for key in [SortKey::CreatedAt, SortKey::Id] {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let direction = |at: usize| if directions.len() > 1 { directions.get(at).copied().unwrap_or(usual) } else { usual };
    keys.into_iter().enumerate().map(|(at, key)| (key, direction(at))).collect()
}

fn sort_key(name: &str) -> Result<SortKey, Fault> {
    const AVAILABLE: &str = "name, status, container_format, disk_format, size, id, created_at, updated_at";
    Ok(match name {
        "name" => SortKey::Name,
        "status" => SortKey::Status,
        "container_format" => SortKey::ContainerFormat,
        "disk_format" => SortKey::DiskFormat,
        "size" => SortKey::Size,
        "id" => SortKey::Id,
        "created_at" => SortKey::CreatedAt,
        "updated_at" => SortKey::UpdatedAt,
        _ => {
            return Err(Fault::bad_request(format!(
                "Invalid sort key: {name}. It must be one of the following: {AVAILABLE}."
            )));
        }
    })
}

fn sort_direction(word: &str) -> Result<Direction, Fault> {
    match word {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
        _ => Err(Fault::bad_request(format!("Invalid sort direction: {word}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_at_commas_outside_quotes() {
        for (text, values) in
            [("a,b", vec!["a", "b"]), (r#""a,b",c"#, vec!["a,b", "c"]), (r#""a\"b""#, vec!["a\"b"]), ("", vec![""])]
        {
            assert_eq!(split(text).expect("a list"), values, "{text}");
        }
        for text in [r#""a"#, r#"a"b""#, r#""a"b"#] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_order_ends_with_what_tells_images_apart() {
        let order = order(vec![SortKey::Name], &[Direction::Ascending]);
        let up = Direction::Ascending;
        assert_eq!(order, [(SortKey::Name, up), (SortKey::CreatedAt, up), (SortKey::Id, up)]);
    }
}
