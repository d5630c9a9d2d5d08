//! Flavors: listing and showing them for everybody, making and changing them for administrators.

pub mod access;
pub mod body;
pub mod extra_specs;
pub mod list;
mod view;

use http::StatusCode;

use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Locate, QueryRule, Route, Rule, Takes, delete, get, post, prove, put};
use crate::api::schema::{self, Schema, Type, parameter_types, pattern};
use crate::api::version::{Microversion, Versions};
use crate::compute::Error as ComputeError;
use crate::compute::flavors::{self, FlavorError};
use crate::json::Json;
use crate::model::flavor::Flavor;
use crate::policy::{Allowed, Guarded};
use crate::store::{Tx, flavors as rows};
use body::NewFlavor;

const COLLECTION: &str = "/flavors";
const ITEM: &str = "/flavors/{flavor_id}";

impl Locate for Flavor {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Flavor>, Error> {
        rows::find(tx, call.part("flavor_id"))?.ok_or_else(|| Self::missing(call))
    }

    fn missing(call: &Call) -> Error {
        ComputeError::from(FlavorError::NotFound(call.part("flavor_id").to_owned())).into()
    }
}

/// The flavor of the URL, for endpoints whose rule is asked before anybody looks for it.
fn flavor(tx: &mut dyn Tx, call: &Call) -> Result<Allowed<policy::See>, Error> {
    prove(call, Flavor::locate(tx, call)?)
}

/// Shows a flavor.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(ITEM);
    const DOC: &'static str =
        "Shows a flavor by its id. From 2.55 with its description, from 2.61 with its extra specs.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::IndexExtraSpecs>()];
    type Action = policy::See;
    type Takes = ();
    type Gives = Json;

    fn run(_: &mut dyn Tx, flavor: Allowed<policy::See>, call: &Call, (): &()) -> Result<Json, Error> {
        view::shown(call, &flavor)
    }
}

/// Makes a flavor.
pub struct Create;

impl Endpoint for Create {
    const ROUTE: Route = post(COLLECTION);
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str = "Makes a flavor. Without an `id` it gets a UUID. Projects are given access to a private one \
        afterwards, with the action `addTenantAccess`.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::IndexExtraSpecs>()];
    type Action = policy::Create;
    type Takes = NewFlavor;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Create>, call: &Call, body: &NewFlavor) -> Result<Json, Error> {
        let flavor = body.flavor(&mut call.moment());
        flavors::create(tx, &flavor, call.now)?;
        view::shown(call, &flavor)
    }
}

/// Changes the description.
pub struct Update;

impl Endpoint for Update {
    const ROUTE: Route = put(ITEM);
    const VERSIONS: Versions = Versions::since(55);
    const DOC: &'static str = "Changes the description of a flavor, the only thing about one that can change.";
    const MORE_RULES: &'static [Rule] = &[Rule::of::<policy::IndexExtraSpecs>()];
    type Action = policy::Update;
    type Takes = Description;
    type Gives = Json;

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Update>, call: &Call, body: &Description) -> Result<Json, Error> {
        let mut flavor = flavor(tx, call)?.into_target();
        flavor.description = body.0.clone();
        rows::save_description(tx, &flavor.flavorid, flavor.description.as_deref())?;
        view::shown(call, &flavor)
    }
}

/// Removes a flavor.
pub struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = delete(ITEM);
    const OK: StatusCode = StatusCode::ACCEPTED;
    const DOC: &'static str = "Removes a flavor. Servers that have it keep what they were made with.";
    type Action = policy::Delete;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Delete>, call: &Call, (): &()) -> Result<(), Error> {
        let flavor = flavor(tx, call)?;
        Ok(rows::remove(tx, &flavor.flavorid)?)
    }
}

/// `{"flavor": {"description": …}}`.
pub struct Description(Option<String>);

impl Takes for Description {
    fn schema(_: Microversion) -> Option<&'static Schema> {
        Some(&DESCRIPTION_BODY)
    }

    fn from_body(call: &Call) -> Result<Self, Error> {
        let description = call.body.get("flavor").and_then(|flavor| flavor.get("description"));
        Ok(Description(description.and_then(Json::as_str).map(str::to_owned)))
    }
}

static DESCRIPTION: Schema = Schema::new(&[
    schema::Rule::Type(&[Type::String, Type::Null]),
    schema::Rule::MinLength(0),
    schema::Rule::MaxLength(65535),
    schema::Rule::Pattern(&pattern::DESCRIPTION),
]);

static DESCRIPTION_BODY: Schema = Schema::new(&[
    schema::Rule::Type(&[Type::Object]),
    schema::Rule::Properties(&[(
        "flavor",
        &Schema::new(&[
            schema::Rule::Type(&[Type::Object]),
            schema::Rule::Properties(&[("description", &DESCRIPTION)]),
            schema::Rule::Required(&["description"]),
            schema::Rule::AdditionalProperties(false),
        ]),
    )]),
    schema::Rule::Required(&["flavor"]),
    schema::Rule::AdditionalProperties(false),
]);

/// What may be asked of one flavor: nothing, which is checked from 2.102 on.
const ONE: QueryRule = QueryRule::NoneFrom2_102;

/// A query parameter of any text, any number of times.
pub(super) static ANY_TEXTS: Schema =
    Schema::new(&[schema::Rule::Type(&[Type::Array]), schema::Rule::Items(&parameter_types::ANY_STRING)]);

/// The rules (nova/policies/flavor_manage.py, flavor_access.py, flavor_extra_specs.py).
pub mod policy {
    use crate::model::flavor::Flavor;
    use crate::policy::targets::Scope;
    use crate::policy::{Action, Scopes};

    /// Seeing a flavor: no rule, only whether it is public or one was given access.
    pub struct See;

    impl Action for See {
        const RULE: &'static str = "";
        const DEFAULT: &'static str = "@";
        const SCOPES: Scopes = Scopes::Any;
        const DOC: &'static str = "Seeing a flavor";
        type Target = Flavor;
    }

    macro_rules! rule {
        ($(#[$doc:meta])* $name:ident, $target:ty, $rule:literal, $default:literal, $deprecated:expr, $words:literal) => {
            $(#[$doc])*
            pub struct $name;

            impl Action for $name {
                const RULE: &'static str = concat!("os_compute_api:os-flavor-", $rule);
                const DEFAULT: &'static str = $default;
                const DEPRECATED: Option<&'static str> = $deprecated;
                const DOC: &'static str = $words;
                type Target = $target;
            }
        };
    }

    const OWNER: Option<&str> = Some("rule:admin_or_owner");

    rule!(
        /// Making one.
        Create, (), "manage:create", "rule:context_is_admin", None, "Create a flavor"
    );
    rule!(
        /// Changing one.
        Update, (), "manage:update", "rule:context_is_admin", None, "Update a flavor"
    );
    rule!(
        /// Removing one.
        Delete, (), "manage:delete", "rule:context_is_admin", None, "Delete a flavor"
    );
    rule!(
        /// Reading who has access.
        IndexAccess, Scope, "access", "rule:context_is_admin", OWNER, "List flavor access information"
    );
    rule!(
        /// Giving access.
        AddAccess, (), "access:add_tenant_access", "rule:context_is_admin", None, "Add flavor access to a tenant"
    );
    rule!(
        /// Taking access away.
        RemoveAccess, (), "access:remove_tenant_access", "rule:context_is_admin", None, "Remove flavor access from a tenant"
    );
    rule!(
        /// Reading extra specs.
        IndexExtraSpecs, Scope, "extra-specs:index", "rule:project_reader_or_admin", OWNER,
        "List extra specs for a flavor, also within flavors from 2.61 on"
    );
    rule!(
        /// Reading one extra spec.
        ShowExtraSpec, Scope, "extra-specs:show", "rule:project_reader_or_admin", OWNER, "Show an extra spec for a flavor"
    );
    rule!(
        /// Adding extra specs.
        CreateExtraSpecs, (), "extra-specs:create", "rule:context_is_admin", None, "Create extra specs for a flavor"
    );
    rule!(
        /// Changing an extra spec.
        UpdateExtraSpec, (), "extra-specs:update", "rule:context_is_admin", None, "Update an extra spec for a flavor"
    );
    rule!(
        /// Removing an extra spec.
        DeleteExtraSpec, (), "extra-specs:delete", "rule:context_is_admin", None, "Delete an extra spec for a flavor"
    );
}
