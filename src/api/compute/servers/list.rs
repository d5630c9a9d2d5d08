//! `GET /servers` and `GET /servers/detail`: filters, order and pages (nova/api/openstack/compute/servers.py, `_get_servers`).

use std::cmp::Ordering;

use regex::Regex;

use super::filter::{Condition, field};
use super::policy;
use super::view::{self, Form};
use crate::api::call::Call;
use crate::api::compute::{links, page as paging};
use crate::api::endpoint::{Endpoint, Error, QueryRule, Reply, Route, Rule, get};
use crate::api::fault::Fault;
use crate::api::schema::parameter_types::{ANY_STRING, NON_NEGATIVE_INTEGER};
use crate::api::schema::{Literal, Rule as Keyword, Schema, Type, format, pattern};
use crate::api::version::Microversion;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::server::StatusFilter;
use crate::model::server_record::Server;
use crate::model::time::Timestamp;
use crate::policy::targets::Scope;
use crate::policy::{Action, Allowed};
use crate::store::servers::{self, Existing, Key, Selection};
use crate::store::{StoreError, Tx};

/// Lists servers in short.
pub struct Index;

impl Endpoint for Index {
    const ROUTE: Route = get("/servers");
    const DOC: &'static str = "Lists the project's servers, the newest first: id, name, links. `limit` and `marker` page through \
        them; `name`, `status`, `image`, `flavor` and others select.";
    const QUERY: QueryRule = QueryRule::Own;
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::IndexAll>(), Rule::of::<policy::AllFilters>()];
    type Action = policy::Index;
    type Takes = ();
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, target: Allowed<policy::Index>, call: &Call, (): &()) -> Result<Reply, Error> {
        let found = find::<policy::IndexAll>(tx, call, &target)?;
        let shown = found.servers.iter().map(|server| view::basic(call, server)).collect();
        Ok(page(call, "servers", &found, shown))
    }
}

/// Lists servers in full.
pub struct Detail;

impl Endpoint for Detail {
    const ROUTE: Route = get("/servers/detail");
    const DOC: &'static str =
        "Lists the project's servers with everything about them. Parameters as for the short list.";
    const QUERY: QueryRule = QueryRule::Own;
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::DetailAll>()];
    type Action = policy::Detail;
    type Takes = ();
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, target: Allowed<policy::Detail>, call: &Call, (): &()) -> Result<Reply, Error> {
        let found = find::<policy::DetailAll>(tx, call, &target)?;
        let shown = found.servers.iter().map(|server| view::full(call, server, Form::Detail));
        let shown = shown.collect::<Result<Vec<Object>, Error>>()?;
        Ok(page(call, "servers/detail", &found, shown))
    }
}

/// A page of servers, and how many it could have held.
struct Found {
    servers: Vec<Server>,
    limit: usize,
}

fn page(call: &Call, collection: &str, found: &Found, shown: Vec<Object>) -> Reply {
    let mut answer = json_object! { "servers": shown };
    if let Some(last) = found.servers.last().filter(|_| found.servers.len() == found.limit) {
        answer.insert("servers_links", [links::next(call, collection, &last.id.to_string())]);
    }
    Reply::json(&answer.into())
}

/// What a query asks for.
struct Wanted {
    selection: Selection,
    conditions: Vec<Condition>,
    keys: Vec<SortKey>,
    limit: usize,
    marker: Option<String>,
}

struct SortKey {
    name: String,
    descending: bool,
}

fn find<All: Action<Target = Scope>>(tx: &mut dyn Tx, call: &Call, target: &Scope) -> Result<Found, Error> {
    check_query(call)?;
    let Some(mut wanted) = wanted::<All>(call, target)? else { return Ok(Found { servers: Vec::new(), limit: 0 }) };
    let limit = wanted.limit;
    let servers = match indexed(&wanted.keys) {
        Some((key, ascending)) => {
            wanted.selection = Selection { key, ascending, ..wanted.selection };
            in_order(tx, wanted)?
        }
        None => sorted(tx, &wanted)?,
    };
    Ok(Found { servers, limit })
}

fn no_marker(marker: &str) -> Error {
    Fault::bad_request(format!("marker [{marker}] not found")).into()
}

/// The order that an index has, and whether it goes upwards, if this is one.
fn indexed(keys: &[SortKey]) -> Option<(Key, bool)> {
    let [SortKey { name, descending }] = keys else { return None };
    let key = match name.as_str() {
        "created_at" => Key::Age,
        "display_name" => Key::Name,
        _ => return None,
    };
    Some((key, !descending))
}

/// An order that an index has: the database goes from place to place. The marker need not be in the list any more, so that a page
/// follows one whose last server was deleted meanwhile; but it must be of the project, since its name would be told by where it stands.
fn in_order(tx: &mut dyn Tx, mut wanted: Wanted) -> Result<Vec<Server>, Error> {
    if let Some(marker) = &wanted.marker {
        let place = servers::place(tx, marker, wanted.selection.project.as_ref())?;
        wanted.selection.after = Some(place.ok_or_else(|| no_marker(marker))?);
    }
    let mut found = Vec::new();
    if wanted.limit > 0 {
        // where every row that is read is shown, no more are read than that
        let at_once = if wanted.conditions.is_empty() { wanted.limit.min(servers::BATCH) } else { servers::BATCH };
        collect(tx, &wanted.selection, &wanted.conditions, at_once, |server| {
            found.push(server);
            found.len() < wanted.limit
        })?;
    }
    Ok(found)
}

/// Any other order: all that was selected is looked at, and the best so far behind the marker are kept, never more than two pages.
fn sorted(tx: &mut dyn Tx, wanted: &Wanted) -> Result<Vec<Server>, Error> {
    let marker = wanted.marker.as_ref().map(|id| marked(tx, wanted, id)).transpose()?;
    let mut found: Vec<Server> = Vec::new();
    let cut = |found: &mut Vec<Server>| {
        found.sort_by(|one, other| order(&wanted.keys, one, other));
        found.truncate(wanted.limit);
    };
    collect(tx, &wanted.selection, &wanted.conditions, servers::BATCH, |server| {
        if marker.as_ref().is_none_or(|marker| order(&wanted.keys, marker, &server) == Ordering::Less) {
            found.push(server);
        }
        if found.len() >= (2 * wanted.limit).max(servers::BATCH) {
            cut(&mut found);
        }
        true
    })?;
    cut(&mut found);
    Ok(found)
}

/// The server behind which the page begins, if it is one of those that were selected.
fn marked(tx: &mut dyn Tx, wanted: &Wanted, id: &str) -> Result<Server, Error> {
    let mut found = None;
    if wanted.selection.id.as_ref().is_none_or(|only| only == id) {
        let selection = Selection { id: Some(id.to_owned()), ..wanted.selection.clone() };
        collect(tx, &selection, &wanted.conditions, 1, |server| {
            found = Some(server);
            false
        })?;
    }
    found.ok_or_else(|| no_marker(id))
}

fn collect(
    tx: &mut dyn Tx,
    selection: &Selection,
    conditions: &[Condition],
    at_once: usize,
    mut each: impl FnMut(Server) -> bool,
) -> Result<(), StoreError> {
    servers::walk(tx, selection, at_once, |server| {
        let server = server.for_system("a list shows what its proof, for the project or for all, lets see");
        !conditions.iter().all(|condition| condition.holds(&server)) || each(server)
    })
}

fn order(keys: &[SortKey], one: &Server, other: &Server) -> Ordering {
    for key in keys {
        let Some(field) = field(&key.name) else { continue };
        let (one, other) = (field(one), field(other));
        let ordering = match NUMBERS.contains(&key.name.as_str()) {
            true => number(one).cmp(&number(other)),
            false => one.cmp(&other),
        };
        let ordering = if key.descending { ordering.reverse() } else { ordering };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    one.id.cmp(&other.id)
}

/// Keys that are numbers, and ordered as such. No other is, even where its text looks like one: of texts some of which are numbers no order
/// would be left.
const NUMBERS: [&str; 5] = ["auto_disk_config", "launch_index", "locked", "power_state", "progress"];

fn number(text: Option<String>) -> Option<i64> {
    text.and_then(|text| text.parse().ok())
}

const PAGING: [&str; 4] = ["sort_key", "sort_dir", "limit", "marker"];
const JOINED: [&str; 7] =
    ["block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices"];

/// Which parameters everybody may use.
fn is_for_everybody(name: &str, version: Microversion) -> bool {
    let since = match name {
        "reservation_id" | "name" | "status" | "image" | "flavor" | "ip" | "changes-since" | "all_tenants" => 1,
        "ip6" => 5,
        "tags" | "tags-any" | "not-tags" | "not-tags-any" => 26,
        "changes-before" => 66,
        "locked" => 73,
        "availability_zone" | "config_drive" | "key_name" | "created_at" | "launched_at" | "terminated_at"
        | "power_state" | "task_state" | "vm_state" | "progress" | "user_id" => 83,
        "hostname" => 90,
        _ => return false,
    };
    version >= Microversion(since)
}

fn bad(message: impl Into<String>) -> Error {
    Fault::bad_request(message).into()
}

/// `None` where nothing can match.
fn wanted<All: Action<Target = Scope>>(call: &Call, target: &Scope) -> Result<Option<Wanted>, Error> {
    let may_all = call.may::<policy::AllFilters>(target)?;
    let mut options: Vec<(&str, &str)> = Vec::new();
    for (name, value) in call.query.iter() {
        let counts = if may_all { !PAGING.contains(&name) } else { is_for_everybody(name, call.version) };
        if counts {
            options.retain(|(known, _)| *known != name);
            options.push((name, value));
        }
    }
    if let Some((name, _)) = options.iter().find(|(name, _)| JOINED.contains(name) || name.starts_with('_')) {
        return Err(bad(format!("Invalid filter field: {name}.")));
    }
    let mut selection = Selection::default();
    if !select_status(call, &mut selection)? {
        return Ok(None);
    }
    options.retain(|(name, _)| *name != "status");
    if selection.vm_states.is_some() {
        options.retain(|(name, _)| *name != "vm_state" && (*name != "task_state" || selection.task_states.is_none()));
    }
    select_changes(&options, &mut selection)?;
    select_existing(call, &options, &mut selection)?;
    select_project::<All>(call, target, &options, &mut selection)?;
    let mut conditions = Vec::new();
    for (name, value) in options {
        if let Some(condition) = select(call, &mut selection, name, value)? {
            conditions.push(condition);
        }
    }
    let limit = usize::try_from(paging::limit(call)).unwrap_or(usize::MAX);
    let marker = call.query.last("marker").map(str::to_owned);
    Ok(Some(Wanted { selection, conditions, keys: sort_keys(call)?, limit, marker }))
}

/// `status` becomes states; `false` where it is none that there is.
fn select_status(call: &Call, selection: &mut Selection) -> Result<bool, Error> {
    if call.query.last("status").is_none() {
        return Ok(true);
    }
    let Some(filter) = StatusFilter::of(call.query.all("status")) else {
        return if call.version >= Microversion(38) { Err(bad("Invalid status value")) } else { Ok(false) };
    };
    selection.vm_states = Some(filter.vm_states.iter().map(|state| state.as_str().to_owned()).collect());
    selection.task_states =
        filter.task_states.map(|states| states.iter().map(|state| state.as_str().to_owned()).collect());
    Ok(true)
}

fn select_changes(options: &[(&str, &str)], selection: &mut Selection) -> Result<(), Error> {
    let moment = |name: &str| -> Result<Option<Timestamp>, Error> {
        let Some((_, text)) = options.iter().find(|(known, _)| *known == name) else { return Ok(None) };
        let moment = Timestamp::from_iso(text).map_err(|_| bad(format!("Invalid filter field: {name}.")))?;
        Ok(Some(moment))
    };
    selection.changed_since = moment("changes-since")?;
    selection.changed_before = moment("changes-before")?;
    match (selection.changed_since, selection.changed_before) {
        (Some(since), Some(before)) if before < since => {
            Err(bad("The value of changes-since must be less than or equal to changes-before."))
        }
        _ => Ok(()),
    }
}

fn select_existing(call: &Call, options: &[(&str, &str)], selection: &mut Selection) -> Result<(), Error> {
    let option = |name: &str| options.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let mut deleted = match option("deleted") {
        Some(value) => Some(super::create::truth(&value.into())),
        None if selection.changed_since.is_some() || selection.changed_before.is_some() => None,
        None => Some(false),
    };
    if selection.vm_states.as_deref().is_some_and(|states| states == ["deleted"]) {
        if !call.who()?.is_admin {
            return Err(Fault::forbidden("Only administrators may list deleted instances").into());
        }
        deleted = Some(true);
    }
    // Nova looks whether the text is there, not what it says
    let soft_deleted = option("soft_deleted").map(|value| !value.is_empty());
    selection.existing = match (deleted, soft_deleted) {
        (None, _) => Existing::Any,
        (Some(true), None | Some(true)) => Existing::Gone,
        (Some(true), Some(false)) => Existing::GoneForGood,
        (Some(false), Some(true)) => Existing::AliveOrRestorable,
        (Some(false), None | Some(false)) => Existing::Alive,
    };
    Ok(())
}

fn select_project<All: Action<Target = Scope>>(
    call: &Call,
    target: &Scope,
    options: &[(&str, &str)],
    selection: &mut Selection,
) -> Result<(), Error> {
    let option = |name: &str| options.iter().rfind(|(known, _)| *known == name).map(|(_, value)| *value);
    let all = match option("all_tenants") {
        None => false,
        Some("") => true,
        Some(value) => strict_truth(value)?,
    };
    if !all {
        selection.project.clone_from(&target.project_id);
        return Ok(());
    }
    call.must::<All>(target)?;
    let named = option("project_id").or_else(|| option("tenant_id"));
    match named.map(str::parse) {
        None => {}
        Some(Ok(project)) => selection.project = Some(project),
        // what cannot be a project has no servers
        Some(Err(_)) => selection.id = Some(String::new()),
    }
    Ok(())
}

fn strict_truth(text: &str) -> Result<bool, Error> {
    match text.trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
        _ => Err(bad(format!(
            "Invalid input received: Unrecognized value '{text}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', \
             'off', 'on', 't', 'true', 'y', 'yes'"
        ))),
    }
}

/// What one parameter selects by: the database, or a condition.
fn select(call: &Call, selection: &mut Selection, name: &str, value: &str) -> Result<Option<Condition>, Error> {
    let tags = || value.split(',').map(str::to_owned).collect();
    let since = |minor| call.version >= Microversion(minor);
    match name {
        "image" | "image_ref" => selection.image = Some(value.to_owned()),
        "flavor" => selection.flavor = Some(value.to_owned()),
        "user_id" => selection.user = Some(value.to_owned()),
        "uuid" => selection.id = Some(value.to_owned()),
        "vm_state" => selection.vm_states = Some(vec![value.to_owned()]),
        "task_state" => selection.task_states = Some(vec![value.to_owned()]),
        "locked" if since(73) => selection.locked = Some(strict_truth(value)?),
        "tags" if since(26) => return Ok(Some(Condition::Tags(tags()))),
        "tags-any" if since(26) => return Ok(Some(Condition::AnyTag(tags()))),
        "not-tags" if since(26) => return Ok(Some(Condition::NotTags(tags()))),
        "not-tags-any" if since(26) => return Ok(Some(Condition::NoTag(tags()))),
        // no server of this cloud has an address
        "ip" | "ip6" | "fixed_ip" => return Ok(Some(Condition::Never)),
        "project_id" | "tenant_id" | "all_tenants" | "deleted" | "soft_deleted" | "changes-since"
        | "changes-before" => {}
        "host" => return Ok(field(name).map(|field| Condition::Matches(field, exactly(value)))),
        other => {
            let Some(field) = field(other) else { return Ok(None) };
            let pattern =
                crate::api::query::pattern(value).map_err(|_| bad(format!("Invalid filter field: {other}.")))?;
            return Ok(Some(Condition::Matches(field, pattern)));
        }
    }
    Ok(None)
}

fn exactly(value: &str) -> Regex {
    Regex::new(&format!("^{}$", regex::escape(value))).expect("an escaped text is a pattern")
}

/// Keys that Nova takes and passes over: they were never meant to be sorted by.
const IGNORED_KEYS: [&str; 22] = [
    "architecture",
    "cell_name",
    "cleaned",
    "default_ephemeral_device",
    "default_swap_device",
    "deleted",
    "deleted_at",
    "disable_terminate",
    "ephemeral_gb",
    "ephemeral_key_uuid",
    "id",
    "key_data",
    "launched_on",
    "memory_mb",
    "os_type",
    "reservation_id",
    "root_gb",
    "shutdown_terminate",
    "user_data",
    "vcpus",
    "vm_mode",
    "locked",
];

fn sort_keys(call: &Call) -> Result<Vec<SortKey>, Error> {
    let mut directions: Vec<bool> = Vec::new();
    for text in call.query.all("sort_dir") {
        directions.push(match text.trim() {
            "asc" => false,
            "desc" => true,
            _ => return Err(bad("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")),
        });
    }
    let first = directions.first().copied().unwrap_or(true);
    let mut keys = Vec::new();
    for (at, name) in call.query.all("sort_key").map(str::trim).enumerate() {
        let is_ignored = IGNORED_KEYS.contains(&name) && !(name == "locked" && call.version >= Microversion(73));
        if is_ignored {
            continue;
        }
        if matches!(name, "host" | "node") && !call.who()?.is_admin {
            return Err(Fault::forbidden(format!("Only administrators can sort servers by {name}")).into());
        }
        keys.push(SortKey { name: name.to_owned(), descending: directions.get(at).copied().unwrap_or(first) });
    }
    if keys.is_empty() {
        keys.push(SortKey { name: "created_at".to_owned(), descending: first });
    }
    Ok(keys)
}

static TEXTS: Schema = Schema::new(&[Keyword::Type(&[Type::Array]), Keyword::Items(&ANY_STRING)]);
static REGEXES: Schema = Schema::new(&[
    Keyword::Type(&[Type::Array]),
    Keyword::Items(&Schema::new(&[Keyword::Type(&[Type::String]), Keyword::Format(&format::REGEX)])),
]);
static MOMENTS: Schema = Schema::new(&[
    Keyword::Type(&[Type::Array]),
    Keyword::Items(&Schema::new(&[Keyword::Type(&[Type::String]), Keyword::Format(&format::DATE_TIME)])),
]);
static LIMITS: Schema = Schema::new(&[Keyword::Type(&[Type::Array]), Keyword::Items(&NON_NEGATIVE_INTEGER)]);

macro_rules! key_schema {
    ($($key:literal)*) => {
        Schema::new(&[
            Keyword::Type(&[Type::Array]),
            Keyword::Items(&Schema::new(&[
                Keyword::Type(&[Type::String]),
                Keyword::Enum(&[$(Literal::Str($key)),*]),
            ])),
        ])
    };
}

macro_rules! usual_keys {
    ($($more:literal)*) => {
        key_schema!(
            "access_ip_v4" "access_ip_v6" "auto_disk_config" "availability_zone" "config_drive" "created_at"
            "display_description" "display_name" "host" "hostname" "image_ref" "instance_type_id" "kernel_id" "key_name"
            "launch_index" "launched_at" "locked_by" "node" "power_state" "progress" "project_id" "ramdisk_id"
            "root_device_name" "task_state" "terminated_at" "updated_at" "user_id" "uuid" "vm_state" $($more)*
        )
    };
}

static SORT_KEYS: Schema = usual_keys!(
    "architecture" "cell_name" "cleaned" "default_ephemeral_device" "default_swap_device" "deleted" "deleted_at"
    "disable_terminate" "ephemeral_gb" "ephemeral_key_uuid" "id" "key_data" "launched_on" "locked" "memory_mb" "os_type"
    "reservation_id" "root_gb" "shutdown_terminate" "user_data" "vcpus" "vm_mode"
);
static SORT_KEYS_V275: Schema = usual_keys!("locked");

macro_rules! query_schema {
    ($sort_keys:expr, $others:literal, $($more:expr,)*) => {
        Schema::new(&[
            Keyword::Type(&[Type::Object]),
            Keyword::Properties(&[
                ("user_id", &TEXTS),
                ("project_id", &TEXTS),
                ("tenant_id", &TEXTS),
                ("launch_index", &TEXTS),
                ("image_ref", &TEXTS),
                ("image", &TEXTS),
                ("kernel_id", &REGEXES),
                ("ramdisk_id", &REGEXES),
                ("hostname", &REGEXES),
                ("key_name", &REGEXES),
                ("power_state", &REGEXES),
                ("vm_state", &TEXTS),
                ("task_state", &TEXTS),
                ("host", &TEXTS),
                ("node", &REGEXES),
                ("flavor", &REGEXES),
                ("reservation_id", &REGEXES),
                ("launched_at", &REGEXES),
                ("terminated_at", &REGEXES),
                ("availability_zone", &REGEXES),
                ("name", &REGEXES),
                ("display_name", &REGEXES),
                ("description", &REGEXES),
                ("display_description", &REGEXES),
                ("locked_by", &REGEXES),
                ("uuid", &TEXTS),
                ("root_device_name", &REGEXES),
                ("config_drive", &REGEXES),
                ("access_ip_v4", &REGEXES),
                ("access_ip_v6", &REGEXES),
                ("auto_disk_config", &REGEXES),
                ("progress", &REGEXES),
                ("sort_key", $sort_keys),
                ("sort_dir", &TEXTS),
                ("all_tenants", &TEXTS),
                ("soft_deleted", &TEXTS),
                ("deleted", &TEXTS),
                ("status", &TEXTS),
                ("changes-since", &MOMENTS),
                ("ip", &REGEXES),
                ("ip6", &REGEXES),
                ("created_at", &REGEXES),
                ("block_device_mapping", &TEXTS),
                ("services", &TEXTS),
                ("metadata", &TEXTS),
                ("system_metadata", &TEXTS),
                ("info_cache", &TEXTS),
                ("security_groups", &TEXTS),
                ("pci_devices", &TEXTS),
                ("limit", &LIMITS),
                ("marker", &TEXTS),
                $($more,)*
            ]),
            Keyword::PatternProperties(&[(&pattern::UNDERSCORED, &TEXTS)]),
            Keyword::AdditionalProperties($others),
        ])
    };
}

macro_rules! query_schema_v226 {
    ($sort_keys:expr, $others:literal, $($more:expr,)*) => {
        query_schema!(
            $sort_keys,
            $others,
            ("tags", &REGEXES),
            ("tags-any", &REGEXES),
            ("not-tags", &REGEXES),
            ("not-tags-any", &REGEXES),
            $($more,)*
        )
    };
}

static QUERY: Schema = query_schema!(&SORT_KEYS, true,);
static QUERY_V226: Schema = query_schema_v226!(&SORT_KEYS, true,);
static QUERY_V266: Schema = query_schema_v226!(&SORT_KEYS, true, ("changes-before", &MOMENTS),);
static QUERY_V273: Schema = query_schema_v226!(&SORT_KEYS, true, ("changes-before", &MOMENTS), ("locked", &TEXTS),);
static QUERY_V275: Schema =
    query_schema_v226!(&SORT_KEYS_V275, false, ("changes-before", &MOMENTS), ("locked", &TEXTS),);

fn check_query(call: &Call) -> Result<(), Error> {
    let schema = match call.version.0 {
        0..26 => &QUERY,
        26..66 => &QUERY_V226,
        66..73 => &QUERY_V266,
        73..75 => &QUERY_V273,
        75.. => &QUERY_V275,
    };
    let mut parameters = Object::new();
    for (name, _) in call.query.iter() {
        parameters.insert(name, call.query.all(name).collect::<Json>());
    }
    Ok(schema.check_query(&parameters.into())?)
}
