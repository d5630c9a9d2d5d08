//! Application credentials: a way for programs to log in that is not a password, with some of a user's roles on one project.

use std::sync::Arc;

use http::StatusCode;

use super::body::{self, Inner, shape};
use super::{action, endpoint, fresh_id, linked, unlinked_list, views};
use crate::api::call::Call;
use crate::api::endpoint::{Errand, Error, Locate, Route, delete, get, post, prove};
use crate::api::schema::{Rule, Schema, Type};
use crate::identity::error::{Barred, Conflict, Error as IdentityError, Kind};
use crate::identity::secret::{Secret, generate_password};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::{ApplicationCredential, Named, OfUser, Role};
use crate::model::time::Timestamp;
use crate::policy::Guarded;
use crate::store::identity_admin::{application_credentials as rows, roles};
use crate::store::{StoreError, Tx, identity};

const PATH: &str = "/v3/users/{user_id}/application_credentials";
const ONE: &str = "/v3/users/{user_id}/application_credentials/{application_credential_id}";

const INVALID: &str = "Invalid application credential: ";

shape!(
    NewShape,
    "application_credential",
    [
        Rule::Properties(&[
            ("name", &body::NAME),
            ("description", &body::TEXT_OR_NULL),
            ("expires_at", &body::TEXT_OR_NULL),
            ("secret", &body::TEXT_OR_NULL),
            ("unrestricted", &Schema::new(&[Rule::Type(&[Type::Boolean, Type::Null])])),
            (
                "roles",
                &Schema::new(&[
                    Rule::Type(&[Type::Array]),
                    Rule::Items(&Schema::new(&[
                        Rule::Type(&[Type::Object]),
                        Rule::Properties(&[("id", &body::ID_TEXT), ("name", &body::NAME)]),
                    ])),
                ])
            ),
        ]),
        Rule::Required(&["name"]),
    ]
);

endpoint!(
    List,
    get(PATH),
    OK,
    [],
    policy::List,
    () => Json,
    list_all,
    "Lists a user's application credentials, perhaps only the one of a `name`. Secrets are not shown."
);
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows an application credential without its secret.");
endpoint!(
    Delete,
    delete(ONE),
    NO_CONTENT,
    [],
    policy::Delete,
    () => (),
    remove,
    "Deletes an application credential. Its tokens end at once."
);

fn list_all(tx: &mut dyn Tx, owner: OfUser, call: &Call, (): &()) -> Result<Json, Error> {
    let mut members = Vec::new();
    for credential in rows::of_user(tx, &owner.user_id, call.query.last("name"))? {
        members.push(shown(tx, call, credential)?);
    }
    let path = format!("users/{}/application_credentials", owner.user_id);
    Ok(unlinked_list(call, &path, "application_credentials", members, None))
}

fn shown(tx: &mut dyn Tx, call: &Call, credential: ApplicationCredential) -> Result<Object, StoreError> {
    let mut named = Vec::new();
    for id in &credential.role_ids {
        named.extend(roles::get(tx, id)?.map(|role| Named::new(role.id.as_str(), role.name)));
    }
    let collection = format!("users/{}/application_credentials", credential.user_id);
    Ok(linked(call, &collection, views::application_credential(credential, &named)))
}

fn sought(tx: &mut dyn Tx, call: &Call) -> Result<ApplicationCredential, Error> {
    let id = call.part("application_credential_id");
    let found = rows::get(tx, id)?;
    found.ok_or_else(|| IdentityError::NotFound(Kind::ApplicationCredential, id.to_owned()).into())
}

fn show(tx: &mut dyn Tx, _: OfUser, call: &Call, (): &()) -> Result<Json, Error> {
    let credential = sought(tx, call)?;
    Ok(json_object! { "application_credential": shown(tx, call, credential)? }.into())
}

fn remove(tx: &mut dyn Tx, _: OfUser, call: &Call, (): &()) -> Result<(), Error> {
    let credential = sought(tx, call)?;
    is_unrestricted(tx, call)?;
    Ok(rows::delete(tx, &credential.id)?)
}

/// That the token is not one of a restricted application credential, which could otherwise outlive itself.
fn is_unrestricted(tx: &mut dyn Tx, call: &Call) -> Result<(), Error> {
    let Some(id) = &call.who()?.application_credential_id else { return Ok(()) };
    match identity::credential(tx, id)? {
        Some(credential) if credential.unrestricted => Ok(()),
        Some(_) | None => Err(IdentityError::Forbidden(Barred::RestrictedCredential).into()),
    }
}

/// Creates an application credential.
pub struct Create;

impl Errand for Create {
    const ROUTE: Route = post(PATH);
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::CREATED;
    const DOC: &'static str = "Creates an application credential for the project of the token, with all roles of the token or some of \
        them. The secret is shown this once.";
    type Action = policy::Create;
    type Takes = Inner<NewShape>;
    type Gives = Json;

    async fn run(call: Arc<Call>, body: Inner<NewShape>) -> Result<Json, Error> {
        let owner = OfUser { user_id: call.part("user_id").to_owned() };
        prove::<policy::Create>(&call, Guarded::new(owner))?;
        if call.who()?.user_id.as_str() != call.part("user_id") {
            return Err(IdentityError::Forbidden(Barred::CredentialOfAnother).into());
        }
        let made = made(&call, &body)?;
        let chance = |bytes: &mut [u8]| call.cloud.fill_with_chance(bytes);
        let secret = match body.text("secret").filter(|secret| !secret.is_empty()) {
            Some(secret) => Secret::new(secret),
            None => generate_password(&mut { chance }),
        };
        let hashing = call.cloud.passwords.hash(call.share(), secret.clone(), &mut { chance });
        let hash = hashing.await.map_err(IdentityError::from)?;
        let asked = body.get("roles").and_then(Json::as_array).unwrap_or_default().to_vec();
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| {
            is_unrestricted(tx, &asking)?;
            let credential = ApplicationCredential { role_ids: role_ids(tx, &asking, &asked)?, ..made.clone() };
            rows::insert(tx, &credential, &hash).map_err(|error| match error {
                StoreError::Duplicate(_) => {
                    IdentityError::Duplicate(Conflict::ApplicationCredential(credential.name.clone()))
                }
                error => error.into(),
            })?;
            let mut shown = shown(tx, &asking, credential)?;
            shown.insert("secret", secret.expose());
            Ok::<_, Error>(json_object! { "application_credential": shown }.into())
        };
        call.cloud.store.write(script).await
    }
}

/// What does not need the database.
fn made(call: &Call, body: &Inner<NewShape>) -> Result<ApplicationCredential, Error> {
    if body.get("access_rules").and_then(Json::as_array).is_some_and(|rules| !rules.is_empty()) {
        // a limit that nobody keeps would be worse than none
        return Err(IdentityError::SenselessValue(INVALID, "this server does not enforce access rules".into()).into());
    }
    Ok(ApplicationCredential {
        id: fresh_id(&mut call.moment()),
        user_id: call.who()?.user_id.clone(),
        project_id: call.project()?.clone(),
        name: body.text("name").unwrap_or_default().trim().to_owned(),
        description: body.text("description").map(str::to_owned),
        role_ids: Vec::new(),
        unrestricted: body.flag("unrestricted").unwrap_or(false),
        expires_at: body.text("expires_at").map(|text| end(text, call.now)).transpose()?,
    })
}

fn end(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    const FORMAT: &str = "Timestamp not in expected format. The server could not comply with the request since it is either malformed \
        or otherwise incorrect. The client is assumed to be in error.";
    const PAST: &str = "The 'expires_at' must not be before now. The server could not comply with the request since it is either \
        malformed or otherwise incorrect. The client is assumed to be in error.";
    let at = Timestamp::from_iso(text).map_err(|_| IdentityError::Senseless(FORMAT))?;
    if at < now { Err(IdentityError::Senseless(PAST).into()) } else { Ok(at) }
}

/// The roles that are asked for, with what they imply, all of which the token must have; where none is asked for, all of the token's.
fn role_ids(tx: &mut dyn Tx, call: &Call, asked: &[Json]) -> Result<Vec<String>, Error> {
    let who = call.who()?;
    let mut named: Vec<Named> = Vec::new();
    for json in asked {
        let role = asked_role(tx, json)?;
        named.extend(identity::implied_closure(tx, role.id.as_str())?);
    }
    if asked.is_empty() {
        let project = call.project()?;
        named = identity::held_roles(tx, &who.user_id, "project", project.as_str())?;
        named.retain(|role| who.has_role(&role.name));
    }
    if let Some(_stranger) = named.iter().find(|role| !who.has_role(&role.name)) {
        let why = "Cannot create an application credential with unassigned role";
        return Err(IdentityError::SenselessValue(INVALID, why.to_owned()).into());
    }
    let mut ids: Vec<String> = named.into_iter().map(|role| role.id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn asked_role(tx: &mut dyn Tx, json: &Json) -> Result<Role, Error> {
    let text = |name| json.get(name).and_then(Json::as_str);
    let (found, name) = match (text("id"), text("name")) {
        (Some(id), _) => (roles::get(tx, id)?, id),
        (None, Some(name)) => {
            let named = roles::list(tx, &[("name", name.into()), ("domain_id", "".into())], &Default::default())?;
            (named.into_iter().next(), name)
        }
        (None, None) => (None, ""),
    };
    found.ok_or_else(|| IdentityError::NotFound(Kind::Role, name.to_owned()).into())
}

impl Locate for OfUser {
    /// The owner is the credential's where there is one: the user in the path may be anybody.
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let owner = match call.part("application_credential_id") {
            "" => None,
            id => rows::get(tx, id)?.map(|credential| credential.user_id.as_str().to_owned()),
        };
        Ok(Guarded::new(OfUser { user_id: owner.unwrap_or_else(|| call.part("user_id").to_owned()) }))
    }

    fn missing(call: &Call) -> Error {
        IdentityError::NotFound(Kind::User, call.part("user_id").to_owned()).into()
    }
}

/// keystone/common/policies/application_credential.py.
pub mod policy {
    use super::{OfUser, action};

    const READ: &str = "(rule:admin_required) or (role:reader and system_scope:all) or rule:owner";

    action!(Get(OfUser), "get_application_credential", READ, SystemOrProject, "Show application credential details.");
    action!(
        List(OfUser),
        "list_application_credentials",
        READ,
        SystemOrProject,
        "List application credentials for a user."
    );
    action!(
        Create(OfUser),
        "create_application_credential",
        "user_id:%(user_id)s",
        Project,
        "Create an application credential."
    );
    action!(
        Delete(OfUser),
        "delete_application_credential",
        "rule:admin_required or rule:owner",
        SystemOrProject,
        "Delete an application credential."
    );
}
