//! Identity v2.0, for clients in the manner of Rackspace: a token by password or by API key, and a catalog that names
//! `cloudServersOpenStack`. Users are those of the default domain; projects are called tenants. Keystone of today has none of this.
//!
//! A user's API key is the one they got by resetting it; until then their password serves, so that whoever can log in can
//! do so in both ways. As with Rackspace, who names no tenant gets a token for their default project, or else their first one.

use std::sync::Arc;

use http::StatusCode;

use super::tokens::{Issued, fits, issue};
use super::{action, auth, document, endpoint, found};
use crate::api::call::Call;
use crate::api::endpoint::{Errand, Error, Locate, Reply, Route, Takes, get, post, prove};
use crate::backlog::Share;
use crate::identity::error::{Error as IdentityError, Kind};
use crate::identity::login::{self, DomainName, Fitted, Name, Proven, Wish};
use crate::identity::secret::{Secret, generate_password};
use crate::identity::standing::Standing;
use crate::identity::token::{Method, Methods, Token};
use crate::json::{Json, Object};
use crate::json_object;
use crate::model::identity::{Sought, User};
use crate::policy::Anyone;
use crate::store::identity::{ActiveProject, active_projects_of};
use crate::store::identity_admin::users;
use crate::store::{StoreError, Tx};

/// The regions of Rackspace. Its clients insist on one of them, so each leads here, beside this server's own.
const RACKSPACE_REGIONS: [&str; 6] = ["DFW", "ORD", "IAD", "LON", "SYD", "HKG"];
/// The member in which Rackspace's API keys come and go.
const API_KEY: &str = "RAX-KSKEY:apiKeyCredentials";

/// Logs in.
pub struct Issue;

impl Errand for Issue {
    const ROUTE: Route = post("/v2.0/tokens");
    const DOC: &'static str = "Gives a token by `passwordCredentials` or by `RAX-KSKEY:apiKeyCredentials`, for `tenantName` or \
        `tenantId`, or for the user's default project or first one. The catalog names `cloudServersOpenStack` in every region of \
        Rackspace's.";
    type Action = Anyone;
    type Takes = Credentials;
    type Gives = Reply;

    async fn run(call: Arc<Call>, given: Credentials) -> Result<Reply, Error> {
        let name = Name::In(given.username.clone(), DomainName::Id("default".to_owned()));
        let share = Share::of(&name);
        let script = move |tx: &mut dyn Tx| login::user(tx, &name);
        let user = call.cloud.store.read(script).await?;
        let hash = user.as_ref().and_then(|user| given.hash_of(user));
        let fitting = fits(&call.cloud, share, &given.secret, hash.as_deref()).await?;
        let user = user.filter(|_| fitting).ok_or(IdentityError::Unauthorized)?;
        let hash = hash.unwrap_or_default();
        let proven = Proven {
            user_id: user.id.as_str().to_owned(),
            fitted: if given.is_api_key { Fitted::ApiKey(hash) } else { Fitted::Password(hash) },
            methods: Methods::default().with(Method::Password),
            parent: None,
        };
        let wish = given.tenant.map_or(Wish::AnyProject, Wish::Tenant);
        let Issued { text, mut body } = issue(&call, proven, wish, access).await?;
        let token = body.as_object_mut().and_then(|body| body.get_mut("access")).and_then(Json::as_object_mut);
        if let Some(token) = token.and_then(|access| access.get_mut("token")).and_then(Json::as_object_mut) {
            token.insert("id", text);
        }
        Ok(Reply::json(&body))
    }
}

/// What a request says.
pub struct Credentials {
    username: String,
    secret: Secret,
    is_api_key: bool,
    tenant: Option<String>,
}

impl Credentials {
    fn hash_of(&self, user: &crate::store::identity::ActiveUser) -> Option<String> {
        if self.is_api_key { user.api_key_hash.clone() } else { user.password_hash.clone() }
    }
}

impl Takes for Credentials {
    fn from_body(call: &Call) -> Result<Credentials, Error> {
        let missing = |attribute: &str, of| IdentityError::Missing { attribute: attribute.to_owned(), of };
        let auth = call.body.get("auth").ok_or_else(|| missing("auth", "request body"))?;
        let (given, secret, is_api_key) = match (auth.get("passwordCredentials"), auth.get(API_KEY)) {
            (Some(given), _) => (given, "password", false),
            (None, Some(given)) => (given, "apiKey", true),
            (None, None) => return Err(missing("passwordCredentials", "auth").into()),
        };
        let text = |name: &str| given.get(name).and_then(Json::as_str).map(str::to_owned);
        let tenant = |name| auth.get(name).and_then(Json::as_str).filter(|tenant| !tenant.is_empty());
        Ok(Credentials {
            username: text("username").ok_or_else(|| missing("username", "credentials"))?,
            secret: Secret::new(text(secret).ok_or_else(|| missing(secret, "credentials"))?),
            is_api_key,
            tenant: tenant("tenantId").or_else(|| tenant("tenantName")).map(str::to_owned),
        })
    }
}

/// `{"access": {"token", "serviceCatalog", "user"}}`, but for the token's text, which is sealed afterwards.
fn access(tx: &mut dyn Tx, call: &Call, token: &Token, standing: &Standing) -> Result<Json, StoreError> {
    let project = standing.ground.project();
    let mut told = json_object! {
        "id": Json::Null, "expires": document::time(token.expires_at), "issued_at": document::time(token.issued_at),
    };
    if let Some(project) = project {
        told.insert("tenant", tenant(project));
    }
    let roles = standing.roles.iter().map(|role| json_object! { "id": role.id.as_str(), "name": role.name.as_str() });
    let user = json_object! {
        "id": standing.user.id.as_str(), "name": standing.user.name.as_str(), "username": standing.user.name.as_str(),
        "roles": roles.collect::<Json>(), "roles_links": Json::Array(Vec::new()),
    };
    let catalog = catalog(tx, call, standing)?;
    Ok(json_object! { "access": json_object! { "token": told, "serviceCatalog": catalog, "user": user } }.into())
}

fn tenant(project: &ActiveProject) -> Object {
    json_object! { "id": project.id.as_str(), "name": project.name.as_str(), "enabled": true, "description": Json::Null }
}

fn catalog(tx: &mut dyn Tx, call: &Call, standing: &Standing) -> Result<Json, StoreError> {
    let Some(project) = standing.ground.project() else { return Ok(Json::Array(Vec::new())) };
    let mut services = Vec::new();
    for service in document::listed(tx, call, standing)? {
        let mut endpoints: Vec<Object> = Vec::new();
        for place in service.endpoints {
            let region = place.region_id.unwrap_or_default();
            let url = format!("{}URL", place.interface);
            let known = endpoints.iter_mut().find(|it| it.get("region").and_then(Json::as_str) == Some(&region));
            match known {
                Some(endpoint) => {
                    endpoint.insert(url, place.url);
                }
                None => endpoints.push(json_object! {
                    "id": place.id, "region": region, "tenantId": project.id.as_str(), url: place.url,
                }),
            }
        }
        services.push(json_object! {
            "type": service.service_type, "name": service.name, "endpoints": endpoints,
            "endpoints_links": Json::Array(Vec::new()),
        });
    }
    services.push(cloud_servers(call, project));
    Ok(services.into())
}

/// Cloud Servers v2, once in every region that a client might insist on.
fn cloud_servers(call: &Call, project: &ActiveProject) -> Object {
    let own = call.cloud.settings.region.as_str();
    let regions = std::iter::once(own).chain(RACKSPACE_REGIONS.into_iter().filter(|region| *region != own));
    let url = format!("{}/v2/{}", call.cloud.public_url(), project.id);
    let endpoints = regions.map(|region| {
        json_object! {
            "region": region, "tenantId": project.id.as_str(), "publicURL": url.as_str(), "versionId": "2",
            "versionInfo": format!("{}/v2", call.cloud.public_url()),
        }
    });
    json_object! { "type": "compute", "name": "cloudServersOpenStack", "endpoints": endpoints.collect::<Json>() }
}

endpoint!(
    Tenants,
    get("/v2.0/tenants"),
    OK,
    [],
    auth::policy::GetProjects,
    () => Json,
    tenants,
    "Lists the tenants that the bearer of the token may have tokens for."
);

fn tenants(tx: &mut dyn Tx, (): (), call: &Call, (): &()) -> Result<Json, Error> {
    let found = active_projects_of(tx, &call.who()?.user_id)?;
    let tenants: Json = found.iter().map(tenant).collect();
    Ok(json_object! { "tenants": tenants, "tenants_links": Json::Array(Vec::new()) }.into())
}

/// Gives a user another API key.
pub struct ResetApiKey;

impl Errand for ResetApiKey {
    const ROUTE: Route = post("/v2.0/users/{user_id}/OS-KSADM/credentials/RAX-KSKEY:apiKeyCredentials/RAX-AUTH/reset");
    const OK: StatusCode = StatusCode::OK;
    const DOC: &'static str = "Gives a user a fresh API key and shows it this once. The one before, or the password in its place, no longer \
        serves as one.";
    type Action = policy::ResetApiKey;
    type Takes = ();
    type Gives = Json;

    async fn run(call: Arc<Call>, (): ()) -> Result<Json, Error> {
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| located(tx, &asking);
        let user = call.cloud.store.read(script).await?;
        let chance = |bytes: &mut [u8]| call.cloud.fill_with_chance(bytes);
        let key = generate_password(&mut { chance });
        let hash =
            call.cloud.passwords.hash(call.share(), key.clone(), &mut { chance }).await.map_err(IdentityError::from)?;
        let asking = call.clone();
        let script = move |tx: &mut dyn Tx| {
            let user = located(tx, &asking)?;
            Ok::<_, Error>(users::set_api_key(tx, user.id.as_str(), &hash)?)
        };
        call.cloud.store.write(script).await?;
        Ok(json_object! { API_KEY: json_object! { "username": user.name, "apiKey": key.expose() } }.into())
    }
}

fn located(tx: &mut dyn Tx, call: &Call) -> Result<User, Error> {
    let allowed = prove::<policy::ResetApiKey>(call, Sought::<User>::locate(tx, call)?)?;
    found(allowed.into_target(), Kind::User)
}

/// Our own rule: Keystone has no API keys.
pub mod policy {
    use super::{Sought, User, action};

    action!(
        ResetApiKey(Sought<User>),
        "reset_api_key",
        "rule:admin_required or user_id:%(target.user.id)s",
        Any,
        "Give a user another API key for Identity v2.0."
    );
}
