//! What an endpoint is: route, versions, policy, body, answer, faults, one paragraph of prose, and what it does, in one `impl`.
//! The list of all of them is the router, the manual and the exhaustive tests.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::call::Call;
use super::fault::Fault;
use super::message::Body;
use super::schema::{Schema, SchemaError};
use super::version::{Microversion, Versions};
use crate::json::{self, Json};
use crate::policy::{Action, Allowed, Guarded, Refused, Scopes};
use crate::store::{StoreError, Tx};
use crate::{compute, identity, image};

/// Where an endpoint is found, below the prefix of its door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// Segments, of which `{names}` match anything but the empty text.
    pub path: &'static str,
    /// The one member of the body that picks this row, for `POST …/action`.
    pub action: Option<&'static str>,
}

/// GET.
pub const fn get(path: &'static str) -> Route {
    Route { method: Method::GET, path, action: None }
}

/// POST.
pub const fn post(path: &'static str) -> Route {
    Route { method: Method::POST, path, action: None }
}

/// PUT.
pub const fn put(path: &'static str) -> Route {
    Route { method: Method::PUT, path, action: None }
}

/// PATCH.
pub const fn patch(path: &'static str) -> Route {
    Route { method: Method::PATCH, path, action: None }
}

/// DELETE.
pub const fn delete(path: &'static str) -> Route {
    Route { method: Method::DELETE, path, action: None }
}

/// HEAD, where it is not just GET without the body.
pub const fn head(path: &'static str) -> Route {
    Route { method: Method::HEAD, path, action: None }
}

/// POST to a path that ends in `/action`, with this member in the body.
pub const fn action(path: &'static str, action: &'static str) -> Route {
    Route { method: Method::POST, path, action: Some(action) }
}

/// What happens to query parameters that the endpoint does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryRule {
    /// Nobody looks at them: every method but GET, and all of image metadata.
    Ignored,
    /// Ignored up to 2.101, refused from 2.102 on: Nova's GETs without parameters of their own.
    NoneFrom2_102,
    /// The endpoint reads and checks its parameters itself.
    Own,
}

/// The statuses of the faults that every endpoint may answer.
pub const FAULTS_OF_ALL: [u16; 8] = [400, 401, 403, 404, 413, 415, 500, 503];

/// An endpoint whose work is one transaction script.
pub trait Endpoint: Send + Sync + 'static {
    /// Method and path.
    const ROUTE: Route;
    /// Where it exists.
    const VERSIONS: Versions = Versions::ALL;
    /// The statuses of the faults it may answer beyond those every endpoint may: 400, 401, 403, 404, 406, 413, 415, 500, 503.
    const FAULTS: &'static [u16] = &[];
    /// The status of success.
    const OK: StatusCode = StatusCode::OK;
    /// The manual: for someone with curl and no patience.
    const DOC: &'static str;
    /// What becomes of unknown query parameters.
    const QUERY: QueryRule = QueryRule::NoneFrom2_102;
    /// Whether the script only reads although its method is not GET.
    const READS: bool = false;
    /// Who may, and on what.
    type Action: Action<Target: Locate>;
    /// What goes in.
    type Takes: Takes;
    /// What comes out.
    type Gives: Gives;

    /// The rules of fields and options that the endpoint asks with `Call::may`, so that the policy sample has them.
    const MORE_RULES: &'static [Rule] = &[];

    /// What is checked before anybody looks for the target. Nothing, usually.
    ///
    /// # Errors
    /// As the endpoint says.
    fn before(_call: &Call, _body: &Self::Takes) -> Result<(), Error> {
        Ok(())
    }

    /// The work: plain sequential code, run from the start as often as the engine asks for it.
    ///
    /// # Errors
    /// As the endpoint says.
    fn run(
        tx: &mut dyn Tx,
        target: Allowed<Self::Action>,
        call: &Call,
        body: &Self::Takes,
    ) -> Result<Self::Gives, Error>;
}

/// An endpoint that does more than one transaction: it streams, or asks for work that takes long, such as hashing a password.
pub trait Errand: Send + Sync + 'static {
    /// Method and path.
    const ROUTE: Route;
    /// Where it exists.
    const VERSIONS: Versions = Versions::ALL;
    /// As `Endpoint::FAULTS`.
    const FAULTS: &'static [u16] = &[];
    /// The status of success.
    const OK: StatusCode = StatusCode::OK;
    /// The manual.
    const DOC: &'static str;
    /// What becomes of unknown query parameters.
    const QUERY: QueryRule = QueryRule::Own;
    /// Whether the body is left unread, in `Call::stream`.
    const STREAMS: bool = false;
    /// Who may. Unlike an `Endpoint` an errand asks for its proof itself, with `prove`, when it has found its target.
    type Action: Action;
    /// What goes in.
    type Takes: Takes;
    /// What comes out.
    type Gives: Gives;
    /// As `Endpoint::MORE_RULES`.
    const MORE_RULES: &'static [Rule] = &[];

    /// The work.
    ///
    /// # Errors
    /// As the endpoint says.
    fn run(call: Arc<Call>, body: Self::Takes) -> impl Future<Output = Result<Self::Gives, Error>> + Send;
}

/// How the target of an action is found for a request.
pub trait Locate: Sized {
    /// Finds it, guarded.
    ///
    /// # Errors
    /// `missing` where it is not there.
    fn locate(tx: &mut dyn Tx, call: &Call) -> Result<Guarded<Self>, Error>;

    /// What a client hears when it is not there, or is not for them to see.
    fn missing(call: &Call) -> Error;
}

impl Locate for () {
    fn locate(_: &mut dyn Tx, _: &Call) -> Result<Guarded<()>, Error> {
        Ok(Guarded::new(()))
    }

    fn missing(_: &Call) -> Error {
        Fault::not_found("The resource could not be found.").into()
    }
}

/// What an endpoint makes of a body.
pub trait Takes: Sized + Send + Sync + 'static {
    /// What the body must look like in this version; `None` where anything goes.
    fn schema(_version: Microversion) -> Option<&'static Schema> {
        None
    }

    /// Refuses a body that cannot be one of these: by the schema, unless the dialect has checks of its own.
    ///
    /// # Errors
    /// 400, or what the dialect has.
    fn check(call: &Call) -> Result<(), Error> {
        match Self::schema(call.version) {
            Some(schema) => Ok(schema.check(&call.body)?),
            None => Ok(()),
        }
    }

    /// Makes it of a body that `check` has let through.
    ///
    /// # Errors
    /// Where it cannot.
    fn from_body(call: &Call) -> Result<Self, Error>;
}

/// For endpoints without a body: whatever was sent is ignored.
impl Takes for () {
    fn from_body(_: &Call) -> Result<Self, Error> {
        Ok(())
    }
}

/// What an endpoint answers.
pub struct Reply {
    /// Another status than the endpoint's `OK`.
    pub status: Option<StatusCode>,
    /// Headers beyond the usual ones.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The media type; none where there is no body to speak of.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// No body. Nova says `application/json` of it all the same.
    pub fn empty() -> Reply {
        Reply { status: None, headers: Vec::new(), content_type: Some("application/json"), body: Body::empty() }
    }

    /// A JSON document.
    pub fn json(json: &Json) -> Reply {
        Reply::json_bytes(json::to_bytes(json))
    }

    /// A JSON document that is written already.
    pub fn json_bytes(json: impl Into<Vec<u8>>) -> Reply {
        Reply { body: Body::Bytes(json.into().into()), ..Reply::empty() }
    }

    /// The same with one more header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        self.headers.push((name, value));
        self
    }

    /// The same with a Location; where the text cannot be a header it has none.
    pub fn with_location(self, url: &str) -> Reply {
        match HeaderValue::from_str(url) {
            Ok(value) => self.with_header(header::LOCATION, value),
            Err(_) => self,
        }
    }

    /// The same with another status.
    pub fn with_status(mut self, status: StatusCode) -> Reply {
        self.status = Some(status);
        self
    }
}

/// What can be answered.
pub trait Gives: Send + 'static {
    /// Puts it into words.
    fn into_reply(self, call: &Call) -> Reply;
}

impl Gives for Reply {
    fn into_reply(self, _: &Call) -> Reply {
        self
    }
}

impl Gives for () {
    fn into_reply(self, _: &Call) -> Reply {
        Reply::empty()
    }
}

impl Gives for Json {
    fn into_reply(self, _: &Call) -> Reply {
        Reply::json(&self)
    }
}

/// Everything that can keep an endpoint from its answer, in the words of the room where it happened.
#[derive(Debug)]
pub enum Error {
    /// Nobody asks whom we know: 401.
    Unauthenticated,
    /// Policy.
    Refused(Refused),
    /// The target is hidden, or is not there: the words for it are the target's.
    Schema(SchemaError),
    /// The store.
    Store(StoreError),
    /// Compute's own rules.
    Compute(compute::Error),
    /// Identity's own rules.
    Identity(identity::Error),
    /// Image's own rules.
    Image(image::Error),
    /// Something only this endpoint knows how to say.
    Fault(Fault),
}

impl Error {
    /// The store's own error, whichever room it came through: the log hears of it, the client does not.
    pub fn of_store(&self) -> Option<&StoreError> {
        match self {
            Error::Store(error)
            | Error::Compute(compute::Error::Store(error))
            | Error::Identity(identity::Error::Store(error))
            | Error::Image(image::Error::Store(error)) => Some(error),
            Error::Unauthenticated
            | Error::Refused(_)
            | Error::Schema(_)
            | Error::Compute(_)
            | Error::Identity(_)
            | Error::Image(_)
            | Error::Fault(_) => None,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Refused(refused)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        Error::Schema(error)
    }
}

impl From<compute::Error> for Error {
    fn from(error: compute::Error) -> Self {
        Error::Compute(error)
    }
}

impl From<identity::Error> for Error {
    fn from(error: identity::Error) -> Self {
        Error::Identity(error)
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Error::Image(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Fault(fault)
    }
}

/// What an endpoint's work comes to.
pub type Answer = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

/// An endpoint without its types: a row of the table.
pub trait Operation: Send + Sync {
    /// Method and path.
    fn route(&self) -> &Route;
    /// Where it exists.
    fn versions(&self) -> Versions;
    /// Statuses of its own faults.
    fn faults(&self) -> &'static [u16];
    /// The status of success.
    fn ok(&self) -> StatusCode;
    /// The manual.
    fn doc(&self) -> &'static str;
    /// What becomes of unknown query parameters.
    fn query(&self) -> QueryRule;
    /// Whether the body is left unread.
    fn streams(&self) -> bool;
    /// Name, default, deprecated default, scopes and description of its rule; the name is empty where there is none.
    fn rule(&self) -> Rule;
    /// The rules of its fields and options.
    fn more_rules(&self) -> &'static [Rule];
    /// What a body must look like.
    fn schema(&self, version: Microversion) -> Option<&'static Schema>;
    /// Refuses a body that the row cannot take.
    ///
    /// # Errors
    /// As `Takes::check`.
    fn check(&self, call: &Call) -> Result<(), Error>;
    /// Does the work.
    fn answer(&self, call: Arc<Call>) -> Answer;
}

/// A rule as the table shows it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// OpenStack's name; empty where every caller may.
    pub name: &'static str,
    /// The default.
    pub default: &'static str,
    /// The default before the new ones.
    pub deprecated: Option<&'static str>,
    /// Which tokens it takes.
    pub scopes: Scopes,
    /// One sentence.
    pub doc: &'static str,
    /// Whether no token is needed.
    pub is_open: bool,
}

impl Rule {
    /// The rule of an action.
    pub const fn of<A: Action>() -> Rule {
        Rule {
            name: A::RULE,
            default: A::DEFAULT,
            deprecated: A::DEPRECATED,
            scopes: A::SCOPES,
            doc: A::DOC,
            is_open: A::OPEN,
        }
    }
}

/// An endpoint as a row.
struct Row<E>(PhantomData<E>);
/// An errand as a row.
struct ErrandRow<E>(PhantomData<E>);

/// The row of an endpoint.
pub const fn row<E: Endpoint>() -> &'static dyn Operation {
    &Row::<E>(PhantomData)
}

/// The row of an errand.
pub const fn errand<E: Errand>() -> &'static dyn Operation {
    &ErrandRow::<E>(PhantomData)
}

impl<E: Endpoint> Operation for Row<E> {
    fn route(&self) -> &Route {
        const { &E::ROUTE }
    }
    fn versions(&self) -> Versions {
        E::VERSIONS
    }
    fn faults(&self) -> &'static [u16] {
        E::FAULTS
    }
    fn ok(&self) -> StatusCode {
        E::OK
    }
    fn doc(&self) -> &'static str {
        E::DOC
    }
    fn query(&self) -> QueryRule {
        if E::ROUTE.method == Method::GET { E::QUERY } else { QueryRule::Ignored }
    }
    fn streams(&self) -> bool {
        false
    }
    fn rule(&self) -> Rule {
        Rule::of::<E::Action>()
    }
    fn more_rules(&self) -> &'static [Rule] {
        E::MORE_RULES
    }
    fn schema(&self, version: Microversion) -> Option<&'static Schema> {
        E::Takes::schema(version)
    }
    fn check(&self, call: &Call) -> Result<(), Error> {
        E::Takes::check(call)
    }
    fn answer(&self, call: Arc<Call>) -> Answer {
        Box::pin(async move {
            let body = Arc::new(E::Takes::from_body(&call)?);
            loop {
                match transact::<E>(&call, &body).await {
                    Err(Error::Refused(Refused::Ask(asked))) => call.cloud.ask(&call, *asked).await?,
                    outcome => return Ok(outcome?.into_reply(&call)),
                }
            }
        })
    }
}

async fn transact<E: Endpoint>(call: &Arc<Call>, body: &Arc<E::Takes>) -> Result<E::Gives, Error> {
    let (call, body) = (call.clone(), body.clone());
    let store = call.cloud.store.on_behalf_of(call.share());
    let script = move |tx: &mut dyn Tx| {
        E::before(&call, &body)?;
        let guarded = <E::Action as Action>::Target::locate(tx, &call)?;
        let target = prove::<E::Action>(&call, guarded)?;
        E::run(tx, target, &call, &body)
    };
    let only_reads = E::READS || matches!(E::ROUTE.method, Method::GET | Method::HEAD);
    if only_reads { store.read(script).await } else { store.write(script).await }
}

/// Opens a guarded target for an action, in the name of whoever calls.
///
/// # Errors
/// The target's own words where it is hidden, the rule's name where it is forbidden.
pub fn prove<A: Action<Target: Locate>>(call: &Call, guarded: Guarded<A::Target>) -> Result<Allowed<A>, Error> {
    let guarded = match Allowed::open(guarded) {
        Ok(allowed) => return Ok(allowed),
        Err(guarded) => guarded,
    };
    match call.policy.allow::<A>(call.who()?, guarded, &call.verdicts()) {
        Ok(allowed) => Ok(allowed),
        Err(Refused::Hidden) => Err(A::Target::missing(call)),
        Err(refused) => Err(refused.into()),
    }
}

impl<E: Errand> Operation for ErrandRow<E> {
    fn route(&self) -> &Route {
        const { &E::ROUTE }
    }
    fn versions(&self) -> Versions {
        E::VERSIONS
    }
    fn faults(&self) -> &'static [u16] {
        E::FAULTS
    }
    fn ok(&self) -> StatusCode {
        E::OK
    }
    fn doc(&self) -> &'static str {
        E::DOC
    }
    fn query(&self) -> QueryRule {
        if E::ROUTE.method == Method::GET { E::QUERY } else { QueryRule::Ignored }
    }
    fn streams(&self) -> bool {
        E::STREAMS
    }
    fn rule(&self) -> Rule {
        Rule::of::<E::Action>()
    }
    fn more_rules(&self) -> &'static [Rule] {
        E::MORE_RULES
    }
    fn schema(&self, version: Microversion) -> Option<&'static Schema> {
        E::Takes::schema(version)
    }
    fn check(&self, call: &Call) -> Result<(), Error> {
        E::Takes::check(call)
    }
    fn answer(&self, call: Arc<Call>) -> Answer {
        Box::pin(async move {
            loop {
                let body = E::Takes::from_body(&call)?;
                match E::run(call.clone(), body).await {
                    Err(Error::Refused(Refused::Ask(asked))) => call.cloud.ask(&call, *asked).await?,
                    outcome => return Ok(outcome?.into_reply(&call)),
                }
            }
        })
    }
}
