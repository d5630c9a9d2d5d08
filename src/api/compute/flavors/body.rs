//! The body that makes a flavor.

use super::DESCRIPTION;
use crate::api::call::Call;
use crate::api::endpoint::{Error, Takes};
use crate::api::fault::Fault;
use crate::api::schema::{Rule, Schema, Type, parameter_types, pattern};
use crate::api::version::Microversion;
use crate::json::{Json, Number, python};
use crate::model::flavor::{Flavor, RXTX_FACTOR_MAX};
use crate::model::ids::FlavorId;
use crate::model::metadata::Metadata;
use crate::model::moment::Moment;

/// A flavor that may still want an id.
pub struct NewFlavor {
    id: Option<FlavorId>,
    flavor: Flavor,
}

impl NewFlavor {
    /// The flavor, with an id of its own where the client named none.
    pub fn flavor(&self, moment: &mut Moment) -> Flavor {
        let flavorid = self.id.clone().unwrap_or_else(|| FlavorId::from_random(moment.id()));
        Flavor { flavorid, ..self.flavor.clone() }
    }
}

impl Takes for NewFlavor {
    fn schema(version: Microversion) -> Option<&'static Schema> {
        Some(match version {
            version if version < Microversion(55) => &CREATE,
            version if version < Microversion(102) => &CREATE_2_55,
            _ => &CREATE_2_102,
        })
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        let body = call.body.get("flavor").unwrap_or(&Json::Null);
        let text = |name| body.get(name).and_then(Json::as_str);
        Ok(NewFlavor {
            id: body.get("id").map(id).transpose()?.flatten(),
            flavor: Flavor {
                // taken only where the client names none, and then replaced
                flavorid: "0".parse().expect("a digit is an id of a flavor"),
                name: text("name").unwrap_or_default().trim().to_owned(),
                memory_mb: number(body.get("ram")),
                vcpus: number(body.get("vcpus")),
                root_gb: number(body.get("disk")),
                ephemeral_gb: number(body.get("OS-FLV-EXT-DATA:ephemeral")),
                swap: number(body.get("swap")),
                rxtx_factor: body.get("rxtx_factor").map_or(Ok(1.0), factor)?,
                is_public: body.get("os-flavor-access:is_public").is_none_or(truth),
                disabled: false,
                description: text("description").map(str::to_owned),
                extra_specs: Metadata::new(),
                projects: Vec::new(),
            },
        })
    }
}

/// What Python makes of it as text; nothing where Python calls it false.
fn id(json: &Json) -> Result<Option<FlavorId>, Error> {
    if json.is_null() || json.as_f64() == Some(0.0) {
        return Ok(None);
    }
    let text = python::str(json);
    let id = text.parse().map_err(|_| {
        let pattern = python::repr_str(&pattern::FLAVOR_ID.source());
        let value = python::repr(json);
        Fault::bad_request(format!(
            "Invalid input for field/attribute id. Value: {text}. {value} does not match {pattern}"
        ))
    })?;
    Ok(Some(id))
}

/// A number that the schema has passed, perhaps as digits.
fn number(json: Option<&Json>) -> u32 {
    let number = json.and_then(|json| json.as_i64().or_else(|| json.as_str()?.trim().parse().ok()));
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// Greater than zero and within a float of four bytes: what the schema language has no rules for.
fn factor(json: &Json) -> Result<f64, Error> {
    let refusal = |sentence: String| {
        let value = python::str(json);
        Fault::bad_request(format!("Invalid input for field/attribute rxtx_factor. Value: {value}. {sentence}")).into()
    };
    let value = python::str(json);
    match json.as_number().map(Number::as_f64) {
        Some(factor) if factor <= 0.0 => Err(refusal(format!("{value} is less than or equal to the minimum of 0"))),
        Some(factor) if factor <= RXTX_FACTOR_MAX => Ok(factor),
        Some(_) => Err(refusal(format!("{value} is greater than the maximum of 3.40282e+38"))),
        None => match value.trim().parse() {
            Ok(factor) if factor > 0.0 && factor <= RXTX_FACTOR_MAX => Ok(factor),
            _ => {
                let sentence = "'rxtx_factor' argument must be a float between 0 and 3.40282e+38";
                Err(Fault::bad_request(format!("Invalid input received: {sentence}")).into())
            }
        },
    }
}

/// A truth value in one of the spellings that the schema lets through.
pub(in crate::api) fn truth(json: &Json) -> bool {
    json.as_bool().unwrap_or_else(|| matches!(python::str(json).to_lowercase().as_str(), "true" | "1" | "on" | "yes"))
}

const NAME: (&str, &Schema) = ("name", &parameter_types::NAME);
const ID: (&str, &Schema) = ("id", &FLAVOR_ID);
static FLAVOR_ID: Schema = Schema::new(&[
    Rule::Type(&[Type::String, Type::Number, Type::Null]),
    Rule::MinLength(1),
    Rule::MaxLength(255),
    Rule::Pattern(&pattern::FLAVOR_ID),
]);
const RAM: (&str, &Schema) = ("ram", &parameter_types::VOLUME_SIZE);
const VCPUS: (&str, &Schema) = ("vcpus", &parameter_types::VOLUME_SIZE);
const DISK: (&str, &Schema) = ("disk", &parameter_types::FLAVOR_PARAM_NON_NEGATIVE);
const EPHEMERAL: (&str, &Schema) = ("OS-FLV-EXT-DATA:ephemeral", &parameter_types::FLAVOR_PARAM_NON_NEGATIVE);
const SWAP: (&str, &Schema) = ("swap", &parameter_types::FLAVOR_PARAM_NON_NEGATIVE);
const FACTOR: (&str, &Schema) = ("rxtx_factor", &RXTX_FACTOR);
static RXTX_FACTOR: Schema =
    Schema::new(&[Rule::Type(&[Type::Number, Type::String]), Rule::Pattern(&pattern::DECIMAL)]);
const PUBLIC: (&str, &Schema) = ("os-flavor-access:is_public", &parameter_types::BOOLEAN);
const WORDS: (&str, &Schema) = ("description", &DESCRIPTION);

macro_rules! body {
    ($members:expr) => {
        Schema::new(&[
            Rule::Type(&[Type::Object]),
            Rule::Properties(&[(
                "flavor",
                &Schema::new(&[
                    Rule::Type(&[Type::Object]),
                    Rule::Properties($members),
                    Rule::Required(&["name", "ram", "vcpus", "disk"]),
                    Rule::AdditionalProperties(false),
                ]),
            )]),
            Rule::Required(&["flavor"]),
            Rule::AdditionalProperties(false),
        ])
    };
}

static CREATE: Schema = body!(&[NAME, ID, RAM, VCPUS, DISK, EPHEMERAL, SWAP, FACTOR, PUBLIC]);
static CREATE_2_55: Schema = body!(&[NAME, ID, RAM, VCPUS, DISK, EPHEMERAL, SWAP, FACTOR, PUBLIC, WORDS]);
static CREATE_2_102: Schema = body!(&[NAME, ID, RAM, VCPUS, DISK, EPHEMERAL, SWAP, PUBLIC, WORDS]);
