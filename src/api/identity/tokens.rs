//! Tokens: logging in, looking at a token, revoking one.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

use super::claims::Claims;
use super::{action, document};
use crate::api::call::Call;
use crate::api::endpoint::{
    Endpoint, Errand, Error, Gives, Locate, QueryRule, Reply, Route, Takes, delete, get, head, post,
};
use crate::api::fault::Fault;
use crate::backlog::Share;
use crate::cloud::Cloud;
use crate::identity::Error as IdentityError;
use crate::identity::error::Barred;
use crate::identity::login::{self, CredentialName, Fitted, Name, Proven, Wish};
use crate::identity::password::PasswordError;
use crate::identity::secret::Secret;
use crate::identity::standing;
use crate::identity::token::{Method, Methods, Scope, Token};
use crate::json::Json;
use crate::model::identity::SubjectToken;
use crate::policy::{Allowed, Anyone, Guarded};
use crate::store::identity::{self as rows, ActiveUser, CredentialInUse};
use crate::store::{Effect, Tx};

const PATH: &str = "/v3/auth/tokens";
/// Where the text of a token stands that is issued or looked at.
const SUBJECT: &str = "x-subject-token";

/// Logs in.
pub struct Issue;

impl Errand for Issue {
    const ROUTE: Route = post(PATH);
    const OK: StatusCode = StatusCode::CREATED;
    const DOC: &'static str = "Gives a token to whoever proves who they are, by `password`, `token` or `application_credential`, for a \
        project, a domain, the system, or nothing yet. The token is in the answer's header X-Subject-Token; what it stands for \
        is in the body, with the catalog unless the query has `nocatalog`. Whatever is wrong, the answer is the same 401, after \
        the same time.";
    type Action = Anyone;
    type Takes = Claims;
    type Gives = Issued;

    async fn run(call: Arc<Call>, claims: Claims) -> Result<Issued, Error> {
        let wish = claims.wish.clone();
        let proven = prove(&call, claims).await?;
        issue(&call, proven, wish, document::token).await
    }
}

impl Takes for Claims {
    fn from_body(call: &Call) -> Result<Claims, Error> {
        Claims::read(&call.body)
    }
}

/// A token's text, and what is said about it.
pub struct Issued {
    /// The text.
    pub text: String,
    /// The body.
    pub body: Json,
}

impl Gives for Issued {
    fn into_reply(self, _: &Call) -> Reply {
        with_subject(Reply::json(&self.body), &self.text)
    }
}

fn with_subject(reply: Reply, text: &str) -> Reply {
    match HeaderValue::from_str(text) {
        Ok(value) => reply.with_header(HeaderName::from_static(SUBJECT), value),
        Err(_) => reply,
    }
}

/// How a token is put into words.
pub type Words = fn(&mut dyn Tx, &Call, &Token, &standing::Standing) -> Result<Json, crate::store::StoreError>;

/// Makes a token for whoever has proven who they are, with the answer about it.
///
/// # Errors
/// 401 where the wish is not for them.
pub async fn issue(call: &Arc<Call>, proven: Proven, wish: Wish, words: Words) -> Result<Issued, Error> {
    let life = i64::try_from(call.cloud.settings.token_life_seconds).unwrap_or(i64::MAX);
    let asking = call.clone();
    let script = move |tx: &mut dyn Tx| {
        let (token, standing) = login::admit(tx, &mut asking.moment(), &proven, &wish, life)?;
        let body = words(tx, &asking, &token, &standing)?;
        Ok::<_, Error>((token, body))
    };
    let (token, body) = call.cloud.store.read(script).await?;
    Ok(Issued { text: call.cloud.keys.seal(&token), body })
}

/// What a claim has to fit.
struct Known {
    user: Option<ActiveUser>,
    credential: Option<CredentialInUse>,
    parent: Option<Token>,
}

/// Whether the claims hold. All of them must, and be about one user.
async fn prove(call: &Arc<Call>, claims: Claims) -> Result<Proven, Error> {
    let known = known(call, &claims).await?;
    let mut proven =
        Proven { user_id: String::new(), fitted: Fitted::Nothing, methods: Methods::default(), parent: None };
    let mut users: Vec<String> = Vec::new();
    if let Some((name, password)) = &claims.password {
        let hash = known.user.as_ref().and_then(|user| user.password_hash.as_deref());
        let fits = fits(&call.cloud, Share::of(name), password, hash).await?;
        let user = known.user.filter(|_| fits).ok_or(IdentityError::Unauthorized)?;
        users.push(user.id.as_str().to_owned());
        proven.methods = proven.methods.with(Method::Password);
        proven.fitted = Fitted::Password(user.password_hash.unwrap_or_default());
    }
    if let Some((name, secret)) = &claims.credential {
        let hash = known.credential.as_ref().map(|credential| credential.secret_hash.as_str());
        let fits = fits(&call.cloud, Share::of(name), secret, hash).await?;
        let credential = known.credential.filter(|_| fits).ok_or(IdentityError::Unauthorized)?;
        users.push(credential.user_id.as_str().to_owned());
        proven.methods = proven.methods.with(Method::ApplicationCredential);
        proven.fitted = Fitted::Credential { id: credential.id, hash: credential.secret_hash };
    }
    if claims.token.is_some() {
        let parent = known.parent.ok_or(IdentityError::Unauthorized)?;
        may_rescope(&parent, &claims.wish)?;
        users.push(parent.user_id.clone());
        proven.methods = proven.methods.with(Method::Token);
        proven.parent = Some(parent);
    }
    let user_id = users.pop().ok_or(IdentityError::Unauthorized)?;
    if users.iter().any(|other| *other != user_id) {
        return Err(IdentityError::Unauthorized.into());
    }
    Ok(Proven { user_id, ..proven })
}

async fn known(call: &Arc<Call>, claims: &Claims) -> Result<Known, Error> {
    let user: Option<Name> = claims.password.as_ref().map(|(user, _)| user.clone());
    let credential: Option<CredentialName> = claims.credential.as_ref().map(|(name, _)| name.clone());
    let parent = claims.token.as_ref().and_then(|text| call.cloud.keys.open(text, call.now.seconds()).ok());
    let script = move |tx: &mut dyn Tx| {
        Ok::<_, Error>(Known {
            user: user.as_ref().map(|name| login::user(tx, name)).transpose()?.flatten(),
            credential: credential.as_ref().map(|name| login::credential(tx, name)).transpose()?.flatten(),
            parent: parent.clone(),
        })
    };
    call.cloud.store.read(script).await
}

/// Whether a secret fits a hash, at the same price where there is none. Whoever is claimed to ask has the share, known or not: what is
/// refused then does not tell who exists.
///
/// # Errors
/// 503 where too many wait already.
pub async fn fits(cloud: &Cloud, share: Share, secret: &Secret, hash: Option<&str>) -> Result<bool, Error> {
    let verified = match hash.filter(|hash| !hash.is_empty()) {
        Some(hash) => cloud.passwords.verify(share, secret.clone(), hash).await,
        None => cloud.passwords.verify_absent(share, secret.clone()).await,
    };
    match verified {
        // a hash of another algorithm is one that nobody can fit
        Err(PasswordError::BadHash) => {
            Ok(cloud.passwords.verify_absent(share, secret.clone()).await.map_err(IdentityError::from)?)
        }
        verified => Ok(verified.map_err(IdentityError::from)?),
    }
}

/// What keystone/auth/plugins/token.py refuses before anything else.
fn may_rescope(parent: &Token, wish: &Wish) -> Result<(), IdentityError> {
    let asks_scope = !matches!(wish, Wish::Default);
    let asks_ground = matches!(wish, Wish::Project(_) | Wish::Domain(_));
    if parent.scope == Scope::System && asks_ground {
        return Err(IdentityError::Forbidden(Barred::SystemToProject));
    }
    if parent.application_credential_id.is_some() && asks_scope {
        return Err(IdentityError::Forbidden(Barred::CredentialToScope));
    }
    Ok(())
}

/// Validates a token.
pub struct Validate;

impl Endpoint for Validate {
    const ROUTE: Route = get(PATH);
    const DOC: &'static str =
        "Shows what the token in the header X-Subject-Token stands for; 404 where it stands for nothing.";
    const QUERY: QueryRule = QueryRule::Own;
    type Action = policy::Validate;
    type Takes = ();
    type Gives = Issued;

    fn run(tx: &mut dyn Tx, subject: Allowed<policy::Validate>, call: &Call, (): &()) -> Result<Issued, Error> {
        let (token, standing) = opened(tx, call)?;
        let body = document::token(tx, call, &token, &standing)?;
        Ok(Issued { text: subject.into_target().text, body })
    }
}

/// Checks a token.
pub struct Check;

impl Endpoint for Check {
    const ROUTE: Route = head(PATH);
    const DOC: &'static str = "Answers 200 where the token in X-Subject-Token is good, 404 where it is not.";
    type Action = policy::Check;
    type Takes = ();
    type Gives = Reply;

    fn run(_: &mut dyn Tx, subject: Allowed<policy::Check>, _: &Call, (): &()) -> Result<Reply, Error> {
        Ok(with_subject(Reply::empty(), &subject.into_target().text))
    }
}

/// Revokes a token.
pub struct Revoke;

impl Endpoint for Revoke {
    const ROUTE: Route = delete(PATH);
    const OK: StatusCode = StatusCode::NO_CONTENT;
    const DOC: &'static str =
        "Revokes the token in X-Subject-Token. From the moment of the answer on nobody takes it any more.";
    type Action = policy::Revoke;
    type Takes = ();
    type Gives = ();

    fn run(tx: &mut dyn Tx, _: Allowed<policy::Revoke>, call: &Call, (): &()) -> Result<(), Error> {
        let (token, _) = opened(tx, call)?;
        let audit_id = token.audit_ids.first().map_or("", String::as_str);
        rows::revoke(tx, audit_id, token.expires_at, call.now.seconds())?;
        tx.announce(Effect::IdentityChanged);
        Ok(())
    }
}

/// The token in the header, if it is good.
fn opened(tx: &mut dyn Tx, call: &Call) -> Result<(Token, standing::Standing), Error> {
    let text = subject(call).ok_or_else(|| SubjectToken::missing(call))?;
    let token = call.cloud.keys.open(text, call.now.seconds()).map_err(|_| SubjectToken::missing(call))?;
    let standing = standing::standing(tx, &token)?.ok_or_else(|| SubjectToken::missing(call))?;
    Ok((token, standing))
}

fn subject(call: &Call) -> Option<&str> {
    call.headers.get(SUBJECT).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

impl Locate for SubjectToken {
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<SubjectToken>, Error> {
        let (_, standing) = opened(tx, call)?;
        let text = subject(call).unwrap_or_default().to_owned();
        Ok(Guarded::new(SubjectToken { user_id: standing.user.id, text }))
    }

    fn missing(call: &Call) -> Error {
        match subject(call) {
            // the text is not repeated: what was good once stays out of logs
            Some(_) => Fault::not_found("Failed to validate token").into(),
            None => Fault::not_found("No token in the request").into(),
        }
    }
}

/// Who may look at and revoke tokens (keystone/common/policies/token.py).
pub mod policy {
    use super::{SubjectToken, action};

    action!(
        Validate(SubjectToken),
        "validate_token",
        "rule:admin_required or (role:reader and system_scope:all) or rule:service_role or rule:token_subject",
        Any,
        "Validate a token."
    );
    action!(
        Check(SubjectToken),
        "check_token",
        "rule:admin_required or (role:reader and system_scope:all) or rule:token_subject",
        Any,
        "Check a token."
    );
    action!(Revoke(SubjectToken), "revoke_token", "rule:admin_required or rule:token_subject", Any, "Revoke a token.");
}
