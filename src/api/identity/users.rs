//! Users and their passwords. Hashing takes long, so whatever comes with a password is an errand.

use std::sync::Arc;

use http::StatusCode;

use super::body::{self, Inner, shape};
use super::tokens::fits;
use super::{action, endpoint, filters, found, fresh_id, list, member, next, page, views};
use crate::api::call::Call;
use crate::api::endpoint::{Errand, Error, Locate, Route, delete, get, patch, post, prove};
use crate::api::schema::{Rule, Schema, Type};
use crate::backlog::Share;
use crate::identity::administration::{self as verbs, NewPassword};
use crate::identity::callers::default_domain;
use crate::identity::error::{Error as IdentityError, Kind};
use crate::identity::login::Name;
use crate::identity::secret::Secret;
use crate::json::{Json, Object};
use crate::model::identity::{Listing, NewUser, Sought, User};
use crate::policy::{Anyone, Guarded};
use crate::store::identity_admin::users as rows;
use crate::store::{Tx, identity};

const PATH: &str = "/v3/users";
const ONE: &str = "/v3/users/{user_id}";
const KNOWN: &[&str] = &[
    "id",
    "name",
    "domain_id",
    "enabled",
    "default_project_id",
    "password",
    "password_expires_at",
    "original_password",
    "options",
    "federated",
    "links",
];

const MEMBERS: Rule = Rule::Properties(&[
    ("domain_id", &body::ID_TEXT),
    ("default_project_id", &body::TEXT_OR_NULL),
    ("description", &body::TEXT_OR_NULL),
    ("enabled", &body::BOOLEAN),
    ("name", &body::NAME),
    ("password", &body::TEXT_OR_NULL),
    ("options", &Schema::new(&[Rule::Type(&[Type::Object])])),
]);
shape!(NewShape, "user", [MEMBERS, Rule::Required(&["name"])]);
shape!(ChangeShape, "user", [MEMBERS, Rule::MinProperties(1)]);
shape!(
    PasswordShape,
    "user",
    [
        Rule::Properties(&[("original_password", &body::TEXT), ("password", &body::TEXT)]),
        Rule::Required(&["original_password", "password"]),
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
    "Lists users, perhaps only those of a `name` or a `domain_id`, or `enabled` ones."
);
endpoint!(Show, get(ONE), OK, [], policy::Get, () => Json, show, "Shows a user, but none of their secrets.");
endpoint!(
    Delete,
    delete(ONE),
    NO_CONTENT,
    [],
    policy::Delete,
    () => (),
    remove,
    "Deletes a user with all that was granted to them, and their application credentials. Their tokens end at once."
);

fn list_all(tx: &mut dyn Tx, listing: Listing, call: &Call, (): &()) -> Result<Json, Error> {
    let page = page(call)?;
    let mut wanted = filters(call, &[("name", "name"), ("domain_id", "domain_id")], &["enabled"]);
    wanted.extend(listing.domain_id.as_ref().map(|id| ("domain_id", id.as_str().into())));
    let found = rows::list(tx, &wanted, &page)?;
    let next = next(call, &page, "users", found.len(), found.last().map(|user| user.id.as_str()));
    Ok(list(call, "users", found.into_iter().map(views::user).collect(), next))
}

fn show(_: &mut dyn Tx, sought: Sought<User>, call: &Call, (): &()) -> Result<Json, Error> {
    Ok(member(call, "users", "user", views::user(found(sought, Kind::User)?)))
}

fn remove(tx: &mut dyn Tx, sought: Sought<User>, _: &Call, (): &()) -> Result<(), Error> {
    Ok(rows::delete(tx, found(sought, Kind::User)?.id.as_str())?)
}

/// Creates a user.
pub struct Create;

impl Errand for Create {
    const ROUTE: Route = post(PATH);
    const FAULTS: &'static [u16] = &[409];
    const OK: StatusCode = StatusCode::CREATED;
    const DOC: &'static str = "Creates a user, with a password or without: then they cannot log in with one.";
    type Action = policy::Create;
    type Takes = Inner<NewShape>;
    type Gives = Json;

    async fn run(call: Arc<Call>, body: Inner<NewShape>) -> Result<Json, Error> {
        prove::<policy::Create>(&call, Guarded::new(new_user(&call)))?;
        let hash = hash(&call, body.text("password")).await?;
        let user = made(&call, &body)?;
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| {
            verbs::create_user(tx, &user, hash.as_deref(), asking.now)?;
            Ok::<_, Error>(member(&asking, "users", "user", views::user(user.clone())))
        };
        call.cloud.store.write(script).await
    }
}

fn new_user(call: &Call) -> NewUser {
    let domain_id = call.body.get("user").and_then(|user| user.get("domain_id")).and_then(Json::as_str);
    NewUser { domain_id: domain_id.map(str::to_owned) }
}

fn made(call: &Call, body: &Inner<NewShape>) -> Result<User, Error> {
    let domain_id = match body.text("domain_id") {
        Some(id) => id.parse().map_err(|_| IdentityError::NotFound(Kind::Domain, id.to_owned()))?,
        None => call.who()?.domain_id.clone().unwrap_or_else(default_domain),
    };
    Ok(User {
        id: fresh_id(&mut call.moment()).parse().map_err(|_| Error::Unauthenticated)?,
        domain_id,
        name: body.text("name").unwrap_or_default().trim().to_owned(),
        enabled: body.flag("enabled").unwrap_or(true),
        default_project_id: body.text("default_project_id").map(str::to_owned),
        extra: body.rest(KNOWN, Object::new()),
    })
}

/// The hash of a password, if there is one.
async fn hash(call: &Call, password: Option<&str>) -> Result<Option<String>, Error> {
    let Some(password) = password else { return Ok(None) };
    let hashing = call
        .cloud
        .passwords
        .hash(call.share(), Secret::new(password), &mut |bytes: &mut [u8]| call.cloud.fill_with_chance(bytes));
    Ok(Some(hashing.await.map_err(IdentityError::from)?))
}

/// Changes a user.
pub struct Update;

impl Errand for Update {
    const ROUTE: Route = patch(ONE);
    const FAULTS: &'static [u16] = &[409];
    const DOC: &'static str =
        "Changes a user. Whoever is disabled, or has another password, needs another token at once.";
    type Action = policy::Update;
    type Takes = Inner<ChangeShape>;
    type Gives = Json;

    async fn run(call: Arc<Call>, body: Inner<ChangeShape>) -> Result<Json, Error> {
        // nobody's password is hashed for whoever may not change it
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| located(tx, &asking).map(|_| ());
        call.cloud.store.read(script).await?;
        let password: NewPassword = match body.get("password") {
            None => None,
            Some(password) => Some(hash(&call, password.as_str()).await?),
        };
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| {
            let before = located(tx, &asking)?;
            let user = changed(before.clone(), &body)?;
            verbs::update_user(tx, &before, &user, &password, asking.now)?;
            Ok::<_, Error>(member(&asking, "users", "user", views::user(user)))
        };
        call.cloud.store.write(script).await
    }
}

fn located(tx: &mut dyn Tx, call: &Call) -> Result<User, Error> {
    let allowed = prove::<policy::Update>(call, Sought::<User>::locate(tx, call)?)?;
    found(allowed.into_target(), Kind::User)
}

fn changed(before: User, body: &Inner<ChangeShape>) -> Result<User, Error> {
    body.has_id(before.id.as_str())?;
    body.keeps("domain_id", before.domain_id.as_str(), "Cannot change Domain ID")?;
    Ok(User {
        name: body.text("name").map_or(before.name, |name| name.trim().to_owned()),
        enabled: body.flag("enabled").unwrap_or(before.enabled),
        default_project_id: body.text_or_null("default_project_id").unwrap_or(before.default_project_id),
        extra: body.rest(KNOWN, before.extra),
        id: before.id,
        domain_id: before.domain_id,
    })
}

/// Changes one's own password.
pub struct ChangePassword;

impl Errand for ChangePassword {
    const ROUTE: Route = post("/v3/users/{user_id}/password");
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str =
        "Changes a user's password by the one they have: no token is needed. All their tokens are void at once.";
    type Action = Anyone;
    type Takes = Inner<PasswordShape>;
    type Gives = ();

    async fn run(call: Arc<Call>, body: Inner<PasswordShape>) -> Result<(), Error> {
        let id = call.part("user_id").to_owned();
        let asked = id.clone();
        let script = move |tx: &mut dyn Tx| identity::active_user(tx, &asked);
        let before = call.cloud.store.read(script).await?.and_then(|user| user.password_hash);
        let share = Share::of(&Name::Id(id.clone()));
        let original = Secret::new(body.text("original_password").unwrap_or_default());
        if !fits(&call.cloud, share, &original, before.as_deref()).await? {
            return Err(IdentityError::Unauthorized.into());
        }
        let hash = hash(&call, body.text("password")).await?;
        let now = call.now;
        let script = move |tx: &mut dyn Tx| {
            // whoever was first has changed what the other one has proven
            let user = identity::active_user(tx, &id)?.filter(|user| user.password_hash == before);
            let user = user.ok_or(IdentityError::Unauthorized)?;
            Ok::<_, Error>(rows::set_password(tx, user.id.as_str(), hash.as_deref(), now)?)
        };
        call.cloud.store.write(script).await
    }
}

impl Locate for Sought<User> {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        let id = call.part("user_id").to_owned();
        Ok(Guarded::new(Sought { found: rows::get(tx, &id)?, id }))
    }

    fn missing(call: &Call) -> Error {
        IdentityError::NotFound(Kind::User, call.part("user_id").to_owned()).into()
    }
}

impl Locate for NewUser {
    fn locate(_: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error> {
        Ok(Guarded::new(new_user(call)))
    }

    fn missing(_: &Call) -> Error {
        Error::Unauthenticated
    }
}

/// keystone/common/policies/user.py.
pub mod policy {
    use super::{Listing, NewUser, Sought, User, action};

    action!(
        Get(Sought<User>),
        "get_user",
        "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and token.domain.id:%(target.user.domain_id)s) or \
         user_id:%(target.user.id)s",
        Any,
        "Show user details."
    );
    action!(
        List(Listing),
        "list_users",
        "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)",
        Any,
        "List users."
    );
    action!(
        Create(NewUser),
        "create_user",
        "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)",
        Any,
        "Create a user."
    );
    action!(
        Update(Sought<User>),
        "update_user",
        "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)",
        Any,
        "Update a user, including administrative password resets."
    );
    action!(
        Delete(Sought<User>),
        "delete_user",
        "(rule:admin_required) or (role:manager and token.domain.id:%(target.user.domain_id)s)",
        Any,
        "Delete a user."
    );
}
