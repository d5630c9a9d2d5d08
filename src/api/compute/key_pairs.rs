//! Key pairs of the caller; administrators name another user with `user_id` from 2.10 on.

use http::StatusCode;

use super::flavors::ANY_TEXTS;
use super::{links, page};
use crate::api::call::Call;
use crate::api::endpoint::{Endpoint, Error, Locate, QueryRule, Reply, Route, Takes, delete, get, post};
use crate::api::fault::Fault;
use crate::api::schema::{Literal, Rule, Schema, Type, parameter_types};
use crate::api::version::Microversion;
use crate::compute::Error as ComputeError;
use crate::compute::key_pairs::{self, KeyPairError};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::key_pair::KeyPair;
use crate::policy::targets::Owner;
use crate::policy::{Allowed, Guarded};
use crate::store::{Tx, key_pairs as rows};

const COLLECTION: &str = "/os-keypairs";
const ITEM: &str = "/os-keypairs/{name}";

impl Locate for Owner {
    fn locate(_: &mut dyn Tx, call: &Call) -> Result<Guarded<Owner>, Error> {
        let in_body = call.body.get("keypair").and_then(|it| it.get("user_id")).and_then(Json::as_str);
        let named = call.query.get("user_id").or(in_body);
        let named = named.filter(|user| call.version >= Microversion(10) && !user.is_empty());
        let user_id = named.unwrap_or(call.who()?.user_id.as_str()).to_owned();
        Ok(Guarded::new(Owner { user_id }))
    }

    fn missing(_: &Call) -> Error {
        Fault::not_found("The resource could not be found.").into()
    }
}

/// Lists key pairs.
pub struct List;

impl Endpoint for List {
    const ROUTE: Route = get(COLLECTION);
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Lists the caller's key pairs by name; from 2.35 on in pages, with `limit` and `marker`.";
    type Action = policy::Index;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        let schema = match call.version {
            version if version < Microversion(10) => &NOTHING,
            version if version < Microversion(35) => &USER_QUERY,
            version if version < Microversion(75) => &LIST_QUERY,
            _ => &LIST_QUERY_2_75,
        };
        Ok(schema.check_query(&call.query.as_lists())?)
    }

    fn run(tx: &mut dyn Tx, owner: Allowed<policy::Index>, call: &Call, (): &()) -> Result<Json, Error> {
        if call.version < Microversion(35) {
            let all = rows::list(tx, &owner.user_id, "", i64::MAX)?;
            return Ok(listed(call, &all).into());
        }
        let (limit, marker) = (page::limit(call), call.query.last("marker").unwrap_or_default());
        if !marker.is_empty() && rows::find(tx, &owner.user_id, marker)?.is_none() {
            return Err(Fault::bad_request(format!("Marker {marker} could not be found.")).into());
        }
        let found = rows::list(tx, &owner.user_id, marker, limit.into())?;
        let mut object = listed(call, &found);
        if let Some(last) = found.last().filter(|_| found.len() == limit as usize) {
            object.insert("keypairs_links", vec![links::next(call, "os-keypairs", &last.name)]);
        }
        Ok(object.into())
    }
}

fn listed(call: &Call, found: &[KeyPair]) -> Object {
    let entry = |it: &KeyPair| {
        let mut object = begun(it);
        told_kind(call, it, &mut object);
        json_object! { "keypair": object }
    };
    json_object! { "keypairs": found.iter().map(entry).collect::<Vec<_>>() }
}

fn begun(it: &KeyPair) -> Object {
    json_object! {
        "name": it.name.as_str(), "public_key": it.public_key.as_str(), "fingerprint": it.fingerprint.as_str(),
    }
}

fn told_kind(call: &Call, it: &KeyPair, object: &mut Object) {
    if call.version >= Microversion(2) {
        object.insert("type", it.kind.as_str());
    }
}

/// Shows a key pair.
pub struct Show;

impl Endpoint for Show {
    const ROUTE: Route = get(ITEM);
    const QUERY: QueryRule = QueryRule::Own;
    const DOC: &'static str = "Shows a key pair by its name.";
    type Action = policy::Show;
    type Takes = ();
    type Gives = Json;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_item_query(call)
    }

    fn run(tx: &mut dyn Tx, owner: Allowed<policy::Show>, call: &Call, (): &()) -> Result<Json, Error> {
        let it = key_pairs::find(tx, &owner.user_id, call.part("name"))?;
        let mut object = begun(&it);
        object.insert("user_id", it.user_id.as_str());
        object.insert("created_at", it.created_at.with_microseconds().to_string());
        object.insert("deleted", false);
        object.insert("deleted_at", Json::Null);
        object.insert("id", it.number);
        object.insert("updated_at", Json::Null);
        told_kind(call, &it, &mut object);
        Ok(json_object! { "keypair": object }.into())
    }
}

/// Imports or makes a key pair.
pub struct Create;

impl Endpoint for Create {
    const ROUTE: Route = post(COLLECTION);
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::CREATED;
    const DOC: &'static str = "Imports a public key of OpenSSH. Up to 2.91 a key is made where none is sent: its private half is \
        in the answer, once, and is not kept. Up to 2.1 the status is 200.";
    type Action = policy::Create;
    type Takes = NewKeyPair;
    type Gives = Reply;

    fn run(tx: &mut dyn Tx, owner: Allowed<policy::Create>, call: &Call, body: &NewKeyPair) -> Result<Reply, Error> {
        let it = KeyPair {
            user_id: owner.into_target().user_id,
            name: body.name.clone(),
            number: 0,
            kind: "ssh".to_owned(),
            public_key: body.public_key.clone(),
            fingerprint: body.fingerprint.clone(),
            created_at: call.now,
        };
        let it = key_pairs::create(tx, &call.cloud.quota_defaults(), call.project()?, it)?;
        let reply = Reply::json(&created(call, &it, body.private_key.as_deref()));
        Ok(if call.version < Microversion(2) { reply.with_status(StatusCode::OK) } else { reply })
    }
}

fn created(call: &Call, it: &KeyPair, private_key: Option<&str>) -> Json {
    let mut object = Object::new();
    if let Some(private_key) = private_key {
        object.insert("private_key", private_key);
    }
    told_kind(call, it, &mut object);
    for (name, member) in begun(it).iter() {
        object.insert(name, member.clone());
    }
    object.insert("user_id", it.user_id.as_str());
    json_object! { "keypair": object }.into()
}

/// Removes a key pair.
pub struct Delete;

impl Endpoint for Delete {
    const ROUTE: Route = delete(ITEM);
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str =
        "Removes a key pair; servers that were made with it keep the key. Up to 2.1 the status is 202.";
    type Action = policy::Delete;
    type Takes = ();
    type Gives = Reply;

    fn before(call: &Call, (): &()) -> Result<(), Error> {
        check_item_query(call)
    }

    fn run(tx: &mut dyn Tx, owner: Allowed<policy::Delete>, call: &Call, (): &()) -> Result<Reply, Error> {
        key_pairs::delete(tx, &owner.user_id, call.part("name"))?;
        let reply = Reply::empty();
        Ok(if call.version < Microversion(2) { reply.with_status(StatusCode::ACCEPTED) } else { reply })
    }
}

/// `{"keypair": {…}}`, with the key, whoever has made it.
pub struct NewKeyPair {
    name: String,
    public_key: String,
    private_key: Option<String>,
    fingerprint: String,
}

impl Takes for NewKeyPair {
    fn schema(version: Microversion) -> Option<&'static Schema> {
        Some(match version {
            version if version < Microversion(2) => &CREATE,
            version if version < Microversion(10) => &CREATE_2_2,
            version if version < Microversion(92) => &CREATE_2_10,
            _ => &CREATE_2_92,
        })
    }

    /// Outside the transaction, since a key that is made needs chance that a script has not.
    fn from_body(call: &Call) -> Result<Self, Error> {
        let body = call.body.get("keypair").unwrap_or(&Json::Null);
        let text = |name| body.get(name).and_then(Json::as_str);
        if text("type") == Some("x509") {
            return Err(ComputeError::from(KeyPairError::NotSupported).into());
        }
        let (public_key, private_key) = match text("public_key") {
            Some(public_key) => (public_key.to_owned(), None),
            None => {
                let mut chance = [0; 32];
                call.cloud.fill_with_chance(&mut chance);
                let halves = key_pairs::generate(&chance)?;
                (halves.public, Some(halves.private))
            }
        };
        let fingerprint = key_pairs::fingerprint(&public_key)?;
        let name = text("name").unwrap_or_default().trim().to_owned();
        Ok(NewKeyPair { name, public_key, private_key, fingerprint })
    }
}

fn check_item_query(call: &Call) -> Result<(), Error> {
    let schema = match call.version {
        version if version < Microversion(10) => &NOTHING,
        version if version < Microversion(75) => &USER_QUERY,
        _ => &USER_QUERY_2_75,
    };
    Ok(schema.check_query(&call.query.as_lists())?)
}

static NOTHING: Schema = Schema::ANY;
const USER: Rule = Rule::Properties(&[("user_id", &ANY_TEXTS)]);
static USER_QUERY: Schema = Schema::new(&[Rule::Type(&[Type::Object]), USER]);
static USER_QUERY_2_75: Schema = Schema::new(&[Rule::Type(&[Type::Object]), USER, Rule::AdditionalProperties(false)]);
const LIST: Rule = Rule::Properties(&[("user_id", &ANY_TEXTS), ("limit", &page::LIMITS), ("marker", &ANY_TEXTS)]);
static LIST_QUERY: Schema = Schema::new(&[Rule::Type(&[Type::Object]), LIST]);
static LIST_QUERY_2_75: Schema = Schema::new(&[Rule::Type(&[Type::Object]), LIST, Rule::AdditionalProperties(false)]);

const NAME: (&str, &Schema) = ("name", &parameter_types::KEYPAIR_NAME);
const PUBLIC_KEY: (&str, &Schema) = ("public_key", &parameter_types::ANY_STRING);
const USER_ID: (&str, &Schema) = ("user_id", &parameter_types::ANY_STRING);
const KIND: (&str, &Schema) = ("type", &KINDS);
static KINDS: Schema =
    Schema::new(&[Rule::Type(&[Type::String]), Rule::Enum(&[Literal::Str("ssh"), Literal::Str("x509")])]);

macro_rules! body {
    ($members:expr, $required:expr) => {
        Schema::new(&[
            Rule::Type(&[Type::Object]),
            Rule::Properties(&[(
                "keypair",
                &Schema::new(&[
                    Rule::Type(&[Type::Object]),
                    Rule::Properties($members),
                    Rule::Required($required),
                    Rule::AdditionalProperties(false),
                ]),
            )]),
            Rule::Required(&["keypair"]),
            Rule::AdditionalProperties(false),
        ])
    };
}

static CREATE: Schema = body!(&[NAME, PUBLIC_KEY], &["name"]);
static CREATE_2_2: Schema = body!(&[NAME, KIND, PUBLIC_KEY], &["name"]);
static CREATE_2_10: Schema = body!(&[NAME, KIND, PUBLIC_KEY, USER_ID], &["name"]);
static CREATE_2_92: Schema =
    body!(&[("name", &parameter_types::KEYPAIR_NAME_V292), KIND, PUBLIC_KEY, USER_ID], &["name", "public_key"]);

/// The rules (nova/policies/keypairs.py), asked about the user whose key pairs they are.
pub mod policy {
    use crate::policy::Action;
    use crate::policy::targets::Owner;

    macro_rules! rule {
        ($(#[$doc:meta])* $name:ident, $rule:literal, $words:literal) => {
            $(#[$doc])*
            pub struct $name;

            impl Action for $name {
                const RULE: &'static str = concat!("os_compute_api:os-keypairs:", $rule);
                const DEFAULT: &'static str = "(rule:context_is_admin) or user_id:%(user_id)s";
                const DOC: &'static str = $words;
                type Target = Owner;
            }
        };
    }

    rule!(
        /// Listing.
        Index, "index", "List all keypairs"
    );
    rule!(
        /// Making or importing one.
        Create, "create", "Create a keypair"
    );
    rule!(
        /// Removing one.
        Delete, "delete", "Delete a keypair"
    );
    rule!(
        /// Showing one.
        Show, "show", "Show details of a keypair"
    );
}
