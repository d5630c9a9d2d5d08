//! Extra specs: what else a host must know of a flavor. Values are text; numbers are taken as their digits.
//! Nova checks the values of keys that it knows from 2.86 on; here they are not checked.

use super::{ONE, flavor, policy, view};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, QueryRule, Route, Takes, delete, get, post, put};
use crate::api::fault::Fault;
use crate::api::schema::{Rule, Schema, Type, pattern};
use crate::api::version::Microversion;
use crate::compute::Error as ComputeError;
use crate::compute::flavors;
use crate::json::{Json, Object, python};
use crate::json_object;
use crate::model::metadata::{Metadata, MetadataItem, MetadataKey, MetadataValue};
use crate::policy::Allowed;
use crate::store::Tx;

const COLLECTION: &str = "/flavors/{flavor_id}/os-extra_specs";
const ITEM: &str = "/flavors/{flavor_id}/os-extra_specs/{key}";

/// Lists them.
pub struct Index;

impl Endpoint for Index {
    const ROUTE: Route = get(COLLECTION);
    const QUERY: QueryRule = ONE;
    const DOC: &'static str = "Lists the extra specs of a flavor.";
    type Action = policy::IndexExtraSpecs;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::IndexExtraSpecs>, call: &Call, (): &()) -> Result<Json, Error> {
        let flavor = flavor(tx, call)?;
        Ok(json_object! { "extra_specs": view::extra_specs(&flavor.extra_specs) }.into())
    }
}

/// Shows one.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(ITEM);
    const QUERY: QueryRule = ONE;
    const DOC: &'static str = "Shows one extra spec of a flavor, by key.";
    type Action = policy::ShowExtraSpec;
    type Takes = ();
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::ShowExtraSpec>, call: &Call, (): &()) -> Result<Json, Error> {
        let (flavor, key) = (flavor(tx, call)?, call.part("key"));
        let value = flavors::extra_spec(&flavor, key)?;
        Ok(json_object! { key: value }.into())
    }
}

/// Adds or changes some.
pub struct Create;

impl Endpoint for Create {
    const ROUTE: Route = post(COLLECTION);
    const DOC: &'static str = "Adds extra specs to a flavor; those whose keys are there already are replaced. Answers what was \
        sent.";
    type Action = policy::CreateExtraSpecs;
    type Takes = ExtraSpecs;
    type Gives = Json;

    fn run(
        tx: &mut dyn Tx,
        _: Allowed<policy::CreateExtraSpecs>,
        call: &Call,
        body: &ExtraSpecs,
    ) -> Result<Json, Error> {
        let specs = specs(&body.0)?;
        let flavor = flavor(tx, call)?.into_target();
        flavors::merge_extra_specs(tx, flavor, specs)?;
        Ok(call.body.clone())
    }
}

/// Adds or changes one.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = put(ITEM);
    const DOC: &'static str =
        "Adds or replaces one extra spec of a flavor. The key in the body must be the key in the URL.";
    type Action = policy::UpdateExtraSpec;
    type Takes = OneSpec;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::UpdateExtraSpec>, call: &Call, body: &OneSpec) -> Result<Json, Error> {
        let specs = specs(&body.0)?;
        if !body.0.contains(call.part("key")) {
            return Err(ComputeError::UriMismatch.into());
        }
        let flavor = flavor(tx, call)?.into_target();
        flavors::merge_extra_specs(tx, flavor, specs)?;
        Ok(call.body.clone())
    }
}

/// Removes one.
pub struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = delete(ITEM);
    const DOC: &'static str = "Removes one extra spec of a flavor, by key.";
    type Action = policy::DeleteExtraSpec;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, _: Allowed<policy::DeleteExtraSpec>, call: &Call, (): &()) -> Result<(), Error> {
        let flavor = flavor(tx, call)?;
        Ok(flavors::delete_extra_spec(tx, &flavor, call.part("key"))?)
    }
}

/// The items of a body that the schema has passed. It has no limit for the digits of a number.
fn specs(body: &Object) -> Result<Metadata, Error> {
    body.iter().map(|(key, value)| item(key, &python::str(value))).collect()
}

fn item(key: &str, value: &str) -> Result<MetadataItem, Error> {
    let value = MetadataValue::new(value).map_err(|_| {
        let characters = value.chars().count();
        Fault::bad_request(format!(
            "Invalid input received: extra_specs value has {characters} characters, more than 255."
        ))
    })?;
    Ok(MetadataItem { key: MetadataKey::new(key).map_err(|_| ComputeError::MalformedBody)?, value })
}

/// `{"extra_specs": {…}}`.
pub struct ExtraSpecs(Object);

impl Takes for ExtraSpecs {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&CREATE)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        Ok(ExtraSpecs(call.body.get("extra_specs").and_then(Json::as_object).cloned().unwrap_or_default()))
    }
}

/// `{key: value}`.
pub struct OneSpec(Object);

impl Takes for OneSpec {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&ONE_SPEC)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        Ok(OneSpec(call.body.as_object().cloned().unwrap_or_default()))
    }
}

const SPECS: Rule = Rule::PatternProperties(&[(
    &pattern::METADATA_KEY,
    &Schema::new(&[Rule::Type(&[Type::String, Type::Number]), Rule::MaxLength(255)]),
)]);

static CREATE: Schema = Schema::new(&[
    Rule::Type(&[Type::Object]),
    Rule::Properties(&[(
        "extra_specs",
        &Schema::new(&[Rule::Type(&[Type::Object]), SPECS, Rule::AdditionalProperties(false)]),
    )]),
    Rule::Required(&["extra_specs"]),
    Rule::AdditionalProperties(false),
]);

static ONE_SPEC: Schema = Schema::new(&[
    Rule::Type(&[Type::Object]),
    SPECS,
    Rule::AdditionalProperties(false),
    Rule::MinProperties(1),
    Rule::MaxProperties(1),
]);
