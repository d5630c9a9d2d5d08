//! The doors: everything a client can ask. `handle` is the way of a request, each step one line; the rest of this room is what
//! the steps need, and one room for the endpoints of each API.

pub mod call;
pub mod compute;
pub mod describe;
pub mod dialect;
pub mod endpoint;
pub mod fault;
pub mod identity;
pub mod image;
pub mod message;
pub mod network;
pub mod query;
pub mod rate;
pub mod router;
pub mod schema;
pub mod table;
pub mod version;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::cloud::{Cloud, NotKnown};
use crate::identity::Error as IdentityError;
use crate::identity::password::PasswordError;
use crate::json::{self, Json};
use crate::model::ids::{ProjectId, RequestId};
use crate::policy::evaluate::Verdicts;
use crate::policy::rules::Rules;
use crate::policy::{Caller, Policy, Refused};
use call::{Call, token};
use dialect::{Api, Dialect};
use endpoint::{Error, Operation, QueryRule, Reply};
use fault::Fault;
use message::{Body, BodyError, Request, Response};
use query::{Query, percent_decoded};
use rate::Rates;
use router::{Found, Router, Rows};
use schema::{Rule, Schema};
use version::{LEGACY_VERSION_HEADER, Microversion, NoVersion, VERSION_HEADER};

/// Answers a request. Never fails: whatever goes wrong is an answer too.
pub async fn handle(cloud: &Arc<Cloud>, request: Request) -> Response {
    handle_as(cloud, cloud.fresh_request_id(), request).await
}

/// As `handle`, under a request id that was given away already.
pub async fn handle_as(cloud: &Arc<Cloud>, request_id: RequestId, mut request: Request) -> Response {
    if request.method == Method::OPTIONS {
        // answered before there is anything to tell apart: no request id, no version
        return options();
    }
    let mut visit = Visit { cloud, rules: cloud.rules(), request_id, version: None, project: None };
    let path = std::mem::take(&mut request.path);
    let (dialect, tail) = dialect::door(collapsed(&path));
    let mut response = match visit.answer(dialect, tail, request).await {
        Ok(response) => response,
        Err(fault) => fault.response(dialect),
    };
    visit.sign(dialect, &mut response);
    response.project_id = visit.project;
    response
}

/// One request while it is answered: what is known of it for the headers and for the log.
struct Visit<'a> {
    cloud: &'a Arc<Cloud>,
    /// The policy from beginning to end, whatever comes in force meanwhile: who is an administrator and what that permits belong together.
    rules: Arc<Rules>,
    request_id: RequestId,
    version: Option<Told>,
    project: Option<ProjectId>,
}

/// What the headers of the answer say of the version.
enum Told {
    Agreed(Microversion),
    /// What cannot be had, as it was asked for.
    Refused(String),
}

/// Where a request leads.
enum Way<'a> {
    Rows(&'a Rows, Vec<(&'static str, String)>, Option<String>),
    OtherMethods(Vec<Method>),
    Nowhere,
}

impl Visit<'_> {
    /// The steps, in the order clients can observe (metadata.md §1.5).
    async fn answer(&mut self, dialect: &'static Dialect, tail: &str, mut request: Request) -> Result<Response, Fault> {
        if dialect.prefix.is_empty() {
            ask_plainly(&mut request);
        }
        let decoded = decoded_path(tail, dialect)?;
        let way = way(&self.cloud.router, dialect, &decoded, tail, &request.method);
        let streams = matches!(&way, Way::Rows(rows, ..) if rows.iter().any(|row| row.streams()));
        if !streams {
            self.refuse_announced_size(&request.body)?;
        }
        let caller = self.caller(dialect, &way, &request.headers).await?;
        if let Some(rates) = self.cloud.rates.as_ref().filter(|_| dialect.is_cloud_servers) {
            count(rates, caller.as_deref(), &request.method, &decoded)?;
        }
        let (rows, path, path_project) = arrived(way)?;
        let version = self.negotiate(dialect, &request.headers)?;
        let is_open = rows.iter().all(|row| row.rule().is_open);
        check_content_type(dialect, &request.headers)?;
        let (bytes, stream) = match std::mem::replace(&mut request.body, Body::empty()) {
            body if streams => (Bytes::new(), Some(body)),
            body => (self.read(body).await?, None),
        };
        let body = parse_body(dialect, &request.method, &bytes)?;
        let action = named_action(rows, &body)?;
        if !is_open {
            check_path_project(path_project.as_deref(), caller.as_deref())?;
        }
        let operation = pick(rows, action, version)?;
        let call = Arc::new(Call {
            cloud: self.cloud.clone(),
            dialect,
            version,
            caller,
            path_project,
            path,
            query: Query::parse(request.query.as_deref()),
            headers: request.headers,
            body: if dialect.is_cloud_servers { softened(operation, body) } else { body },
            stream: Mutex::new(stream),
            request_id: self.request_id,
            now: self.cloud.now(),
            seed: self.cloud.fresh_seed(),
            policy: Policy::new(self.rules.clone()),
            verdicts: Mutex::new(Verdicts::none()),
        });
        check_query(operation, &call)?;
        let outcome = match operation.check(&call) {
            Ok(()) => operation.answer(call.clone()).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(reply) => Ok(self.response(operation, &call, reply)),
            Err(error) => Err(self.fault(operation, &call, error)),
        }
    }

    fn refuse_announced_size(&self, body: &Body) -> Result<(), Fault> {
        match body.length() {
            Some(length) if length > self.cloud.settings.max_request_body_bytes => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    fn too_large(&self) -> Fault {
        let bytes_max = self.cloud.settings.max_request_body_bytes;
        let message = format!("Request is too large. Larger than max_request_body_size ({bytes_max}).");
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    async fn read(&self, body: Body) -> Result<Bytes, Fault> {
        body.read(self.cloud.settings.max_request_body_bytes).await.map_err(|error| match error {
            BodyError::TooLong(_) => self.too_large(),
            BodyError::Broken(_) => Fault::bad_request("Malformed request body"),
            BodyError::TimedOut => Fault::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time."),
        })
    }

    /// Who asks: nobody where the way leads to open rows only, or where this door looks at the path first.
    async fn caller(
        &mut self,
        dialect: &Dialect,
        way: &Way<'_>,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<Caller>>, Fault> {
        let is_open = match way {
            Way::Rows(rows, ..) => rows.iter().all(|row| row.rule().is_open),
            Way::OtherMethods(_) | Way::Nowhere => !dialect.asks_for_token_first,
        };
        if is_open {
            return Ok(None);
        }
        let Some(token) = token(headers) else { return Err(self.unauthenticated()) };
        match self.cloud.caller(token, self.request_id, &self.rules).await {
            Ok(caller) => {
                self.project = caller.project_id.clone();
                Ok(Some(caller))
            }
            Err(NotKnown::Unauthenticated) => Err(self.unauthenticated()),
            Err(NotKnown::Fault(fault)) => Err(fault),
        }
    }

    fn unauthenticated(&self) -> Fault {
        let challenge = format!("Keystone uri=\"{}/identity\"", self.cloud.public_url());
        let fault = Fault::new(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.");
        match HeaderValue::from_str(&challenge) {
            Ok(value) => fault.with_header(header::WWW_AUTHENTICATE, value),
            Err(_) => fault,
        }
    }

    fn negotiate(&mut self, dialect: &Dialect, headers: &HeaderMap) -> Result<Microversion, Fault> {
        if !dialect.has_microversions {
            return Ok(Microversion::OLDEST);
        }
        match version::negotiate(headers) {
            Ok(version) => {
                self.version = Some(Told::Agreed(version));
                Ok(version)
            }
            Err(NoVersion::Malformed(text)) => Err(Fault::bad_request(format!(
                "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            ))),
            Err(NoVersion::Unsupported(text)) => {
                let message = format!(
                    "Version {text} is not supported by the API. Minimum is {} and maximum is {}.",
                    Microversion::OLDEST,
                    Microversion::NEWEST
                );
                self.version = Some(Told::Refused(text));
                Err(Fault::new(StatusCode::NOT_ACCEPTABLE, message))
            }
        }
    }

    fn response(&self, operation: &dyn Operation, call: &Call, reply: Reply) -> Response {
        let mut headers = HeaderMap::with_capacity(HEADERS_USUAL);
        if let Some(content_type) = reply.content_type {
            let content_type = if call.dialect.api == Api::Compute && content_type == "application/json" {
                preferred_json(&call.headers)
            } else {
                content_type
            };
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in reply.headers {
            headers.append(name, value);
        }
        Response { status: reply.status.unwrap_or(operation.ok()), headers, body: reply.body, project_id: None }
    }

    /// What a client hears of an error. In tests a row must have declared the status.
    fn fault(&self, operation: &dyn Operation, call: &Call, error: Error) -> Fault {
        let of_store = error.of_store();
        if let Some(error) = of_store {
            tracing::error!(request_id = %self.request_id, %error, "the store did not do it");
        }
        if let Error::Identity(IdentityError::Password(error)) = &error
            && *error != PasswordError::Busy
        {
            tracing::error!(request_id = %self.request_id, %error, "a password was neither checked nor hashed");
        }
        let is_declared_elsewhere = of_store.is_some();
        let fault = match error {
            Error::Unauthenticated => self.unauthenticated(),
            Error::Refused(refused) => self.refusal(call, &refused),
            Error::Schema(error) => error.into(),
            Error::Store(error) => fault::store(&error),
            Error::Compute(error) => fault::compute::fault(&error, call.dialect),
            Error::Identity(error) => fault::identity::fault(&error),
            Error::Image(error) => fault::image::fault(&error, call.dialect),
            Error::Fault(fault) => fault,
        };
        debug_assert!(
            is_declared_elsewhere || is_declared(operation, fault.status),
            "{} {} answers {}, which its row does not declare: {}",
            operation.route().method,
            operation.route().path,
            fault.status,
            fault.message
        );
        fault
    }

    fn refusal(&self, call: &Call, refused: &Refused) -> Fault {
        match refused {
            Refused::Forbidden(rule) if call.dialect.api == Api::Identity => {
                Fault::forbidden(format!("You are not authorized to perform the requested action: {rule}."))
            }
            Refused::Forbidden(rule) if call.dialect.api == Api::Compute => {
                Fault::forbidden(format!("Policy doesn't allow {rule} to be performed."))
            }
            Refused::Forbidden(rule) => Fault::forbidden(format!("You are not authorized to complete {rule} action.")),
            Refused::Hidden => Fault::not_found("The resource could not be found."),
            Refused::Ask(asked) => {
                let url = asked.question.shown();
                tracing::error!(request_id = %self.request_id, url, "a rule still asks after its answer");
                Fault::defect()
            }
        }
    }

    /// The headers that every answer has: versions and their Vary where one was agreed on, and the request's ids.
    fn sign(&self, dialect: &Dialect, response: &mut Response) {
        let headers = &mut response.headers;
        if let Some(version) = &self.version {
            let (new, legacy) = match version {
                Told::Agreed(version) => version.header_values(),
                Told::Refused(text) => version::header_values_of(text),
            };
            headers.insert(VERSION_HEADER.clone(), new);
            headers.insert(LEGACY_VERSION_HEADER.clone(), legacy);
            headers.append(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
            headers.append(header::VARY, HeaderValue::from_static("X-OpenStack-Nova-API-Version"));
        }
        if dialect.api == Api::Identity {
            headers.insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
        }
        name_request(dialect, headers, self.request_id);
    }
}

fn name_request(dialect: &Dialect, headers: &mut HeaderMap, request_id: RequestId) {
    if !dialect.prefix.is_empty() {
        let id = HeaderValue::from_str(request_id.as_str()).expect("an id can be a header");
        if dialect.api == Api::Compute {
            headers.insert(COMPUTE_REQUEST_ID.clone(), id.clone());
        }
        headers.insert(REQUEST_ID.clone(), id);
    }
}

/// Counts a request for the rate limits of its project. What needs no token is not counted.
fn count(rates: &Rates, caller: Option<&Caller>, method: &Method, decoded: &str) -> Result<(), Fault> {
    let Some(caller) = caller else { return Ok(()) };
    let whose = caller.project_id.as_ref().map_or(caller.user_id.as_str(), ProjectId::as_str);
    let segments = router::segments(decoded);
    let path = match segments.split_first() {
        Some((first, rest)) if is_project_segment(first) => rest,
        _ => &segments,
    };
    rates.count(whose, method.as_str(), path).map_err(|refused| Fault::too_often(&refused))
}

/// Finds the rows, trying a project segment where the door takes one.
fn way<'r>(router: &'r Router, dialect: &Dialect, decoded: &str, tail: &str, method: &Method) -> Way<'r> {
    let mut segments = router::segments(decoded);
    let mut project = None;
    if dialect.takes_project && segments.first().is_some_and(|first| is_project_segment(first)) {
        project = Some(segments.remove(0).to_owned());
    }
    if dialect.prefix.is_empty() {
        return way_at_root(router, tail, &segments);
    }
    match router.find(dialect.api, method, &segments, dialect.answers_head) {
        Found::Rows(rows, values) => Way::Rows(rows, values, project),
        Found::OtherMethods(methods) => Way::OtherMethods(methods),
        Found::Nothing => Way::Nowhere,
    }
}

/// At the root stands one document; every other path leads to the choices, which name it.
fn way_at_root<'r>(router: &'r Router, tail: &str, segments: &[&str]) -> Way<'r> {
    let is_root = segments.is_empty() && !tail.is_empty();
    let path = if is_root { &[ROOT_SEGMENT][..] } else { &[ROOT_SEGMENT, ANY_SEGMENT] };
    match router.find(Api::Compute, &Method::GET, path, false) {
        Found::Rows(rows, _) => Way::Rows(rows, vec![("path", tail.to_owned())], None),
        Found::OtherMethods(methods) => Way::OtherMethods(methods),
        Found::Nothing => Way::Nowhere,
    }
}

/// At the root every method is a GET, and nobody looks at what was sent along.
fn ask_plainly(request: &mut Request) {
    request.method = Method::GET;
    request.body = Body::empty();
    request.headers.remove(header::CONTENT_TYPE);
}

/// Rows, the values of the route's names, and the project in the path.
type Arrived<'r> = (&'r Rows, Vec<(&'static str, String)>, Option<String>);

/// The rows, or the fault of a way that leads to none.
fn arrived(way: Way<'_>) -> Result<Arrived<'_>, Fault> {
    match way {
        Way::Rows(rows, values, project) => Ok((rows, values, project)),
        Way::Nowhere => Err(Fault::not_found("The resource could not be found.")),
        Way::OtherMethods(methods) => Err(other_methods(&methods)),
    }
}

/// Stands before the routes of the root, which belong to no door.
pub const ROOT_SEGMENT: &str = "*root*";

/// Stands, after `ROOT_SEGMENT`, for every path that belongs to no door.
pub const ANY_SEGMENT: &str = "*any*";

static REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
static COMPUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");

/// As many headers as an answer of Compute has, with those of the street.
const HEADERS_USUAL: usize = 12;

/// Doubled slashes at the start of a path count as one: seed 000 shows `//v2.1/…`.
fn collapsed(path: &str) -> &str {
    let rest = path.trim_start_matches('/');
    if rest.is_empty() { path.get(..1).unwrap_or(path) } else { &path[path.len() - rest.len() - 1..] }
}

fn options() -> Response {
    let mut response = Response::new(StatusCode::OK);
    response.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// The path with its escapes undone, once, before it is routed: an escaped slash is a slash.
fn decoded_path<'t>(tail: &'t str, dialect: &Dialect) -> Result<Cow<'t, str>, Fault> {
    if tail.is_ascii() && !tail.contains('%') {
        return Ok(Cow::Borrowed(tail));
    }
    let bytes = percent_decoded(tail);
    if dialect.path_is_latin1 {
        return Ok(bytes.into_iter().map(char::from).collect());
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Fault::not_found("The resource could not be found."))
}

/// `[0-9a-f-]+`, as Nova's routes have it.
fn is_project_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

fn other_methods(methods: &[Method]) -> Fault {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.sort_unstable();
    let fault = Fault::new(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for the requested URL.");
    match HeaderValue::from_str(&names.join(", ")) {
        Ok(value) => fault.with_header(header::ALLOW, value),
        Err(_) => fault,
    }
}

/// Compute reads JSON, or what does not say what it is; the media type is compared to the letter, its parameters dropped.
fn check_content_type(dialect: &Dialect, headers: &HeaderMap) -> Result<(), Fault> {
    if dialect.api != Api::Compute {
        return Ok(());
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().unwrap_or("?");
    match value.split(';').next().unwrap_or_default().trim() {
        "" | "text/plain" | "application/json" | "application/vnd.openstack.compute+json" => Ok(()),
        _ => Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Content-Type")),
    }
}

/// Bytes must be UTF-8 whatever the method; only POST, PUT and PATCH are parsed. Nothing at all is `Null`.
fn parse_body(dialect: &Dialect, method: &Method, bytes: &[u8]) -> Result<Json, Fault> {
    let malformed = || Fault::bad_request(malformed_sentence(dialect));
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        return std::str::from_utf8(bytes).map(|_| Json::Null).map_err(|_| malformed());
    }
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    json::parse(bytes).map_err(|_| malformed())
}

fn malformed_sentence(dialect: &Dialect) -> &'static str {
    match dialect.api {
        Api::Compute => "Malformed request body",
        Api::Identity => {
            "Expecting to find valid JSON in request body. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
        }
        Api::Image => "Malformed JSON in request body.",
        Api::Network => "Invalid request body format",
    }
}

/// Where rows share a path that ends in `/action`, the one member of the body names the row.
fn named_action<'b>(rows: &Rows, body: &'b Json) -> Result<Option<&'b str>, Fault> {
    if rows.iter().all(|row| row.route().action.is_none()) {
        return Ok(None);
    }
    let mut members = body.as_object().into_iter().flat_map(json::Object::keys);
    let (Some(name), None) = (members.next(), members.next()) else {
        return Err(Fault::bad_request("Malformed request body"));
    };
    if rows.iter().all(|row| row.route().action != Some(name)) {
        return Err(Fault::bad_request(format!("There is no such action: {name}")));
    }
    Ok(Some(name))
}

fn pick(rows: &Rows, action: Option<&str>, version: Microversion) -> Result<&'static dyn Operation, Fault> {
    let row = rows.iter().find(|row| row.route().action == action && row.versions().contain(version));
    row.copied().ok_or_else(|| Fault::not_found("The resource could not be found."))
}

fn check_path_project(path_project: Option<&str>, caller: Option<&Caller>) -> Result<(), Fault> {
    let (Some(in_path), Some(caller)) = (path_project, caller) else { return Ok(()) };
    let in_token = caller.project_id.as_ref().map_or("None", ProjectId::as_str);
    if in_path == in_token {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Malformed request URL: URL's project_id '{in_path}' doesn't match Context's project_id '{in_token}'"
    )))
}

fn check_query(operation: &dyn Operation, call: &Call) -> Result<(), Fault> {
    if operation.query() == QueryRule::Ignored || call.dialect.api != Api::Compute {
        return Ok(());
    }
    if !call.query.is_utf8() {
        return Err(Fault::bad_request("Query string is not UTF-8 encoded"));
    }
    if operation.query() == QueryRule::Own || call.version < Microversion(102) {
        return Ok(());
    }
    let names: json::Object = call.query.iter().map(|(name, _)| (name.to_owned(), Json::Null)).collect();
    Ok(NO_PARAMETERS.check_query(&names.into())?)
}

/// What Nova's GETs without parameters of their own accept from 2.102 on.
static NO_PARAMETERS: Schema = Schema::new(&[Rule::Properties(&[]), Rule::AdditionalProperties(false)]);

/// Cloud Servers ignores members it does not know, beside one that it does.
fn softened(operation: &dyn Operation, mut body: Json) -> Json {
    if let Some(schema) = operation.schema(Microversion::OLDEST) {
        schema.keep_known(&mut body);
    }
    body
}

/// Which of the two names of JSON an Accept header prefers: the plain one unless it says otherwise.
fn preferred_json(headers: &HeaderMap) -> &'static str {
    const NAMES: [&str; 2] = ["application/json", "application/vnd.openstack.compute+json"];
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    if matches!(accept, "application/json" | "*/*") {
        return NAMES[0];
    }
    let weight = |name: &str| {
        let weights = accept.split(',').filter_map(|range| weight_of(range, name));
        weights.fold(0, u32::max)
    };
    if weight(NAMES[1]) > weight(NAMES[0]) { NAMES[1] } else { NAMES[0] }
}

/// The weight, in thousandths, that one media range gives to a media type it covers.
fn weight_of(range: &str, name: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    let covers = match parts.next()? {
        "*/*" | "application/*" => true,
        exact => exact.eq_ignore_ascii_case(name),
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
    covers.then_some((quality.clamp(0.0, 1.0) * 1000.0) as u32)
}

fn is_declared(operation: &dyn Operation, status: StatusCode) -> bool {
    endpoint::FAULTS_OF_ALL.contains(&status.as_u16()) || operation.faults().contains(&status.as_u16())
}
