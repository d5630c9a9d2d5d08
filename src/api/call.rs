//! One request on its way to its endpoint: who asks, at which door, in which version, about what, and when.
//! Everything in it is read-only, because a transaction script may look at it more than once.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::dialect::Dialect;
use super::endpoint::Error;
use super::fault::Fault;
use super::message::Body;
use super::query::Query;
use super::version::Microversion;
use crate::backlog::Share;
use crate::cloud::{Cloud, QuotaDefaults};
use crate::json::Json;
use crate::model::ids::{ProjectId, RequestId};
use crate::model::moment::Moment;
use crate::model::time::Timestamp;
use crate::policy::evaluate::Verdicts;
use crate::policy::{Action, Caller, Policy, Refused};

/// A request that has found its endpoint.
pub struct Call {
    /// Everything that outlives the request.
    pub cloud: Arc<Cloud>,
    /// The door it came through.
    pub dialect: &'static Dialect,
    /// The version agreed on; the oldest where there are none.
    pub version: Microversion,
    /// Who asks; `None` only where the endpoint is open.
    pub caller: Option<Arc<Caller>>,
    /// The project in the path, where there was one.
    pub path_project: Option<String>,
    /// The values of the route's `{names}`, in order, decoded.
    pub path: Vec<(&'static str, String)>,
    /// The query.
    pub query: Query,
    /// Headers as sent.
    pub headers: HeaderMap,
    /// The parsed body; `Null` where there was none.
    pub body: Json,
    /// The body as it arrives, for endpoints that stream.
    pub stream: Mutex<Option<Body>>,
    /// What the client and the log know this request by.
    pub request_id: RequestId,
    /// When the request arrived.
    pub now: Timestamp,
    /// Random bits from which ids of this request are drawn.
    pub seed: [u8; 16],
    /// The rules in force when the request arrived.
    pub policy: Policy,
    /// What other servers have said about the rules that ask them.
    pub verdicts: Mutex<Arc<Verdicts>>,
}

impl Call {
    /// Who asks.
    ///
    /// # Errors
    /// 401 where nobody does, which an endpoint with an action of its own never meets.
    pub fn who(&self) -> Result<&Caller, Error> {
        self.caller.as_deref().ok_or(Error::Unauthenticated)
    }

    /// Whose places it takes in a queue: those of the caller's project, or of the caller where the token is for none. What is asked by
    /// nobody whom a token proves counts as one.
    pub fn share(&self) -> Share {
        let whose = |caller: &Caller| match &caller.project_id {
            Some(project) => Share::of(project.as_str()),
            None => Share::of(caller.user_id.as_str()),
        };
        self.caller.as_deref().map_or(Share::OWN, whose)
    }

    /// The project of the token.
    ///
    /// # Errors
    /// 403 where the token is not for a project.
    pub fn project(&self) -> Result<&ProjectId, Error> {
        let project = self.who()?.project_id.as_ref();
        project.ok_or_else(|| Fault::forbidden("This request needs a token that is scoped to a project.").into())
    }

    /// The value of a `{name}` of the route.
    pub fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The quotas that apply where nobody has set any: Cloud Servers has its own for metadata.
    pub fn quota_defaults(&self) -> QuotaDefaults<'_> {
        self.cloud.quota_defaults_at(self.dialect)
    }

    /// Time and ids for one run of a script: the same at every run.
    pub fn moment(&self) -> Moment {
        Moment::new(self.now, self.seed)
    }

    /// What is known of other servers' answers so far.
    pub fn verdicts(&self) -> Arc<Verdicts> {
        self.verdicts.lock().expect("nobody panics while holding the verdicts").clone()
    }

    /// Whether a rule of its own allows a field or an option of the endpoint.
    ///
    /// # Errors
    /// Where the rule asks another server that has not answered yet.
    pub fn may<A: Action>(&self, it: &A::Target) -> Result<bool, Error> {
        Ok(self.policy.permits::<A>(self.who()?, it, &self.verdicts())?)
    }

    /// As `may`, refusing with the rule's name.
    ///
    /// # Errors
    /// 403 where the rule says no.
    pub fn must<A: Action>(&self, it: &A::Target) -> Result<(), Error> {
        if self.may::<A>(it)? { Ok(()) } else { Err(Refused::Forbidden(A::RULE).into()) }
    }

    /// The text of their token.
    pub fn token(&self) -> Option<&str> {
        token(&self.headers)
    }

    /// Where the client found us, for links: scheme and the Host it named, else the public URL.
    pub fn base_url(&self) -> String {
        match self.headers.get(header::HOST).and_then(|value| value.to_str().ok()) {
            Some(host) if !host.is_empty() => format!("{}://{host}", self.cloud.scheme()),
            _ => self.cloud.public_url().to_owned(),
        }
    }

    /// An absolute link below the door the client used.
    pub fn link(&self, tail: &str) -> String {
        format!("{}{}{tail}", self.base_url(), self.dialect.prefix)
    }
}

static AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
static STORAGE_TOKEN: HeaderName = HeaderName::from_static("x-storage-token");

/// The text of a request's token; none where it is empty.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    text(&AUTH_TOKEN).or_else(|| text(&STORAGE_TOKEN)).filter(|token| !token.is_empty())
}
