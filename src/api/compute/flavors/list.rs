//! Lists of flavors: filtered, sorted, in pages.

use regex::Regex;

use super::{ANY_TEXTS, policy, view};
use crate::api::call::Call;
use crate::api::compute::{links, page};
use crate::api::endpoint::{self, Endpoint, Error, QueryRule, Route, get};
use crate::api::fault::Fault;
use crate::api::query::pattern;
use crate::api::schema::{Literal, Rule, Schema, Type};
use crate::api::version::Microversion;
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::flavor::Flavor;
use crate::policy::{Allowed, AnyCaller, Guarded};
use crate::store::Tx;
use crate::store::flavors::{self as rows, Among, SortKey, Wanted};

/// Lists flavors in short.
pub struct Index;

impl Endpoint for Index {
    const ROUTE: Route = get("/flavors");
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Lists the flavors that the project may use. `minRam` and `minDisk` filter, `sort_key` and \
        `sort_dir` sort, `limit` and `marker` page; administrators choose with `is_public` (`true`, `false`, `none` for all).";
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        let flavors = found(tx, call)?;
        Ok(listed(call, &flavors, "flavors", |flavor| view::brief(call, flavor)))
    }
}

/// Lists flavors in full.
pub struct Detail;

impl Endpoint for Detail {
    const ROUTE: Route = get("/flavors/detail");
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Lists flavors as GET /flavors does, each in full.";
    const MORE_RULES: &'static [endpoint::Rule] = &[endpoint::Rule::of::<policy::IndexExtraSpecs>()];
    type Action = AnyCaller;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_query(call)
    }

    fn run(tx: &mut dyn Tx, _: Allowed<AnyCaller>, call: &Call, (): &()) -> Result<Json, Error> {
        let with_extra_specs = view::shows_extra_specs(call)?;
        let flavors = found(tx, call)?;
        Ok(listed(call, &flavors, "flavors/detail", |flavor| view::full(call, flavor, with_extra_specs)))
    }
}

fn listed(call: &Call, flavors: &[Flavor], place: &str, view: impl Fn(&Flavor) -> Object) -> Json {
    let mut object = json_object! { "flavors": flavors.iter().map(view).collect::<Vec<_>>() };
    if let Some(last) = flavors.last().filter(|_| flavors.len() == page::limit(call) as usize) {
        object.insert("flavors_links", vec![links::next(call, place, last.flavorid.as_str())]);
    }
    object.into()
}

/// The page that the query asks for. A pattern for names is tried on every flavor: there are few.
fn found(tx: &mut dyn Tx, call: &Call) -> Result<Vec<Flavor>, Error> {
    let (who, limit) = (call.who()?, page::limit(call));
    let (among, with_disabled) =
        if who.is_admin { (chosen(call)?, true) } else { (Among::PublicAnd(who.project_id.as_ref()), false) };
    let memory_mb_min = number(call, "minRam")?;
    let root_gb_min = number(call, "minDisk")?;
    let names = names(call)?;
    let marker = marker(tx, call)?;
    let wanted = Wanted {
        among,
        with_disabled,
        memory_mb_min,
        root_gb_min,
        sort: sort_key(call.query.last("sort_key").unwrap_or_default()),
        descending: call.query.last("sort_dir") == Some("desc"),
        after: marker.as_ref().map(|flavor| &flavor.flavorid),
        limit: if names.is_some() { i64::MAX } else { limit.into() },
    };
    let mut flavors = rows::list(tx, &wanted)?;
    if let Some(names) = names {
        flavors.retain(|flavor| names.is_match(&flavor.name));
        flavors.truncate(limit as usize);
    }
    Ok(flavors)
}

/// Which flavors an administrator asks for.
fn chosen(call: &Call) -> Result<Among<'_>, Error> {
    let own = Among::PublicAnd(call.who()?.project_id.as_ref());
    let Some(text) = call.query.last("is_public") else { return Ok(own) };
    match text.trim().to_lowercase().as_str() {
        "none" => Ok(Among::All),
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(own),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(Among::Private),
        _ => Err(Fault::bad_request(format!("Invalid is_public filter [{text}]")).into()),
    }
}

fn number(call: &Call, name: &'static str) -> Result<i64, Error> {
    let Some(text) = call.query.last(name) else { return Ok(i64::MIN) };
    text.trim().parse().map_err(|_| Fault::bad_request(format!("Invalid {name} filter [{text}]")).into())
}

fn names(call: &Call) -> Result<Option<Regex>, Error> {
    let Some(text) = call.query.last("name").filter(|_| call.version >= Microversion(102)) else { return Ok(None) };
    let regex = pattern(text).map_err(|_| Fault::bad_request(format!("Invalid name filter [{text}]")))?;
    Ok(Some(regex))
}

fn marker(tx: &mut dyn Tx, call: &Call) -> Result<Option<Allowed<policy::See>>, Error> {
    let Some(id) = call.query.last("marker") else { return Ok(None) };
    let not_found = || Error::from(Fault::bad_request(format!("marker [{id}] not found")));
    let guarded: Guarded<Flavor> = rows::find(tx, id)?.ok_or_else(not_found)?;
    endpoint::prove(call, guarded).map(Some).map_err(|_| not_found())
}

/// `updated_at` and `vcpu_weight` are the same for all flavors here.
fn sort_key(name: &str) -> SortKey {
    match name {
        "name" => SortKey::Name,
        "description" => SortKey::Description,
        "memory_mb" => SortKey::Memory,
        "vcpus" => SortKey::Vcpus,
        "root_gb" => SortKey::Root,
        "ephemeral_gb" => SortKey::Ephemeral,
        "swap" => SortKey::Swap,
        "is_public" => SortKey::Public,
        "disabled" => SortKey::Disabled,
        "rxtx_factor" => SortKey::RxtxFactor,
        "created_at" | "id" => SortKey::Created,
        _ => SortKey::Id,
    }
}

fn check_query(call: &Call) -> Result<(), Error> {
    let schema = match call.version {
        version if version < Microversion(75) => &QUERY,
        version if version < Microversion(102) => &QUERY_2_75,
        _ => &QUERY_2_102,
    };
    Ok(schema.check_query(&call.query.as_lists())?)
}

macro_rules! sort_keys {
    ($($more:expr)?) => {
        &Schema::new(&[
            Rule::Type(&[Type::Array]),
            Rule::Items(&Schema::new(&[
                Rule::Type(&[Type::String]),
                Rule::Enum(&[
                    Literal::Str("created_at"),
                    Literal::Str("description"),
                    Literal::Str("disabled"),
                    Literal::Str("ephemeral_gb"),
                    Literal::Str("flavorid"),
                    Literal::Str("id"),
                    Literal::Str("is_public"),
                    Literal::Str("memory_mb"),
                    Literal::Str("name"),
                    Literal::Str("root_gb"),
                    $($more,)?
                    Literal::Str("swap"),
                    Literal::Str("updated_at"),
                    Literal::Str("vcpu_weight"),
                    Literal::Str("vcpus"),
                ]),
            ])),
        ])
    };
}

static SORT_DIRECTIONS: Schema = Schema::new(&[
    Rule::Type(&[Type::Array]),
    Rule::Items(&Schema::new(&[Rule::Type(&[Type::String]), Rule::Enum(&[Literal::Str("asc"), Literal::Str("desc")])])),
]);

const PARAMETERS: Rule = Rule::Properties(&[
    ("limit", &page::LIMITS),
    ("marker", &ANY_TEXTS),
    ("is_public", &ANY_TEXTS),
    ("minRam", &ANY_TEXTS),
    ("minDisk", &ANY_TEXTS),
    ("sort_key", sort_keys!(Literal::Str("rxtx_factor"))),
    ("sort_dir", &SORT_DIRECTIONS),
]);

static QUERY: Schema = Schema::new(&[Rule::Type(&[Type::Object]), PARAMETERS]);
static QUERY_2_75: Schema = Schema::new(&[Rule::Type(&[Type::Object]), PARAMETERS, Rule::AdditionalProperties(false)]);
static QUERY_2_102: Schema = Schema::new(&[
    Rule::Type(&[Type::Object]),
    Rule::Properties(&[
        ("limit", &page::LIMITS),
        ("marker", &ANY_TEXTS),
        ("is_public", &ANY_TEXTS),
        ("minRam", &ANY_TEXTS),
        ("minDisk", &ANY_TEXTS),
        ("sort_key", sort_keys!()),
        ("sort_dir", &SORT_DIRECTIONS),
        ("name", &ANY_TEXTS),
    ]),
    Rule::AdditionalProperties(false),
]);
