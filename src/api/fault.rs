//! What a client reads when it does not get what it asked for: status, name and sentence, in the form of each API.
//! The rooms' errors become faults in the files beside this one; nobody else knows codes.

pub mod compute;
pub mod identity;
pub mod image;
pub mod servers;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::dialect::{self, Api, Dialect};
use super::message::{Body, Response};
use super::rate::TooOften;
use super::schema::SchemaError;
use crate::config::RateLimit;
use crate::json::{self, Json};
use crate::json_object;
use crate::model::ids::RequestId;
use crate::model::time::Timestamp;
use crate::store::StoreError;

/// Seconds after which a client that met too many others, or an absent store, may try again.
pub const RETRY_AFTER_SECONDS: u64 = 1;

/// A refusal, ready to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The status.
    pub status: StatusCode,
    /// What the client reads.
    pub message: String,
    /// Headers beyond the usual ones, such as Allow.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Seconds after which it is worth trying again.
    pub retry_after_seconds: Option<u64>,
    /// The same as a time, with the details that Cloud Servers then tells.
    pub retry_at: Option<(Timestamp, String)>,
    /// The name in Neutron's faults, or another name than the status gives in Nova's.
    pub name: Option<&'static str>,
}

impl Fault {
    /// A fault of this status and sentence.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Fault {
        Fault {
            status,
            message: message.into(),
            headers: Vec::new(),
            retry_after_seconds: None,
            retry_at: None,
            name: None,
        }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::FORBIDDEN, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, message)
    }

    /// More than a quota allows: 403 in Nova, 413 in Cloud Servers.
    pub fn over_quota(dialect: &Dialect, message: impl Into<String>) -> Fault {
        if dialect.is_cloud_servers { Fault::over_limit(message) } else { Fault::forbidden(message) }
    }

    /// 413 for more than may be had. Trying again at once is as good as later, says the header, as Nova's did.
    pub fn over_limit(message: impl Into<String>) -> Fault {
        Fault { retry_after_seconds: Some(0), ..Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message) }
    }

    /// 413 for more often than may be asked, with what the limit is and when it will be worth trying again.
    pub fn too_often(refused: &TooOften) -> Fault {
        let RateLimit { method, uri, value, unit } = &refused.limit;
        let unit = unit.to_string().to_lowercase();
        let details = format!("Only {value} {method} request(s) can be made to {uri} every {unit}.");
        Fault {
            retry_after_seconds: Some(refused.retry_after_seconds),
            retry_at: Some((refused.retry_at, details)),
            ..Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "OverLimit Retry...")
        }
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::CONFLICT, message)
    }

    /// 503 with the time after which it is worth trying again.
    pub fn unavailable(retry_after_seconds: u64) -> Fault {
        let message = "The server is currently unavailable. Please try again at a later time.";
        Fault { retry_after_seconds: Some(retry_after_seconds), ..Fault::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// 500 in Nova's words; the cause is in the log, beside the request id.
    pub fn defect() -> Fault {
        let message = "Unexpected API Error. Please report this to the operator of this cloud, with the request id.";
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The same fault with one more header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Fault {
        self.headers.push((name, value));
        self
    }

    /// The whole answer, in the form of the API that is spoken at this door.
    pub fn response(&self, dialect: &Dialect) -> Response {
        let (content_type, body) = match dialect.api {
            _ if self.status == StatusCode::UNAUTHORIZED && dialect.has_keystone_in_front() => {
                ("application/json", self.as_keystonemiddleware())
            }
            Api::Compute => ("application/json; charset=UTF-8", self.as_nova()),
            Api::Identity => ("application/json", self.as_keystone()),
            Api::Image => ("text/html; charset=UTF-8", self.as_glance()),
            Api::Network => ("application/json", self.as_neutron()),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        Response { headers, body: Body::Bytes(body.into()), ..Response::new(self.status) }
    }

    /// The whole answer to a request for this path, for those who speak before the request has come to a door.
    pub fn response_at(&self, path: &str, request_id: RequestId) -> Response {
        let (dialect, _) = dialect::door(super::collapsed(path));
        let mut response = self.response(dialect);
        super::name_request(dialect, &mut response.headers, request_id);
        response
    }

    /// `{"itemNotFound": {"code": 404, "message": "…"}}`, with `retryAfter` where there is one (nova/api/openstack/wsgi.py).
    fn as_nova(&self) -> Vec<u8> {
        let mut inner = json_object! { "code": i64::from(self.status.as_u16()), "message": self.message.as_str() };
        if let Some((time, details)) = &self.retry_at {
            inner.insert("details", Json::from(details.as_str()));
            inner.insert("retryAt", Json::from(time.to_string()));
        } else if let Some(seconds) = self.retry_after_seconds {
            inner.insert("retryAfter", Json::from(seconds.to_string()));
        }
        let name = self.name.unwrap_or_else(|| nova_name(self.status));
        json::to_bytes(&json_object! { name: inner }.into())
    }

    /// A 401 at the doors of other services than Identity is not their own word, but that of keystonemiddleware.
    fn as_keystonemiddleware(&self) -> Vec<u8> {
        let error = json_object! {
            "code": i64::from(self.status.as_u16()), "title": "Unauthorized", "message": self.message.as_str(),
        };
        json::to_bytes(&json_object! { "error": error }.into())
    }

    /// `{"error": {"code": 404, "message": "…", "title": "Not Found"}}` (keystone/exception.py).
    fn as_keystone(&self) -> Vec<u8> {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let error = json_object! {
            "code": i64::from(self.status.as_u16()), "message": self.message.as_str(), "title": title,
        };
        json::to_bytes(&json_object! { "error": error }.into())
    }

    /// WebOb's page, as Glance sends it.
    fn as_glance(&self) -> Vec<u8> {
        let title = format!("{} {}", self.status.as_u16(), self.status.canonical_reason().unwrap_or("Error"));
        let message = self.message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!(
            "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {message}<br /><br />\n\n\n </body>\n</html>"
        )
        .into_bytes()
    }

    /// `{"NeutronError": {"type": "…", "message": "…", "detail": ""}}`.
    fn as_neutron(&self) -> Vec<u8> {
        let error = json_object! {
            "type": self.name.unwrap_or_else(|| neutron_name(self.status)), "message": self.message.as_str(), "detail": "",
        };
        json::to_bytes(&json_object! { "NeutronError": error }.into())
    }
}

impl From<SchemaError> for Fault {
    fn from(error: SchemaError) -> Self {
        Fault::bad_request(error.to_string())
    }
}

/// Nova's names of faults, by status; whatever has none is a `computeFault`.
pub fn nova_name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    }
}

/// Neutron's names of faults that are none of its own exceptions: those of WebOb.
fn neutron_name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "HTTPBadRequest",
        403 => "PolicyNotAuthorized",
        404 => "HTTPNotFound",
        405 => "HTTPMethodNotAllowed",
        503 => "HTTPServiceUnavailable",
        _ => "HTTPError",
    }
}

/// What a client reads when the store did not do it: never its words.
pub fn store(error: &StoreError) -> Fault {
    match error {
        StoreError::Conflict(_) => Fault::conflict("Another request is changing the same thing. Please try again."),
        StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::DiskFails(_) | StoreError::Damaged(_) => {
            Fault::unavailable(RETRY_AFTER_SECONDS)
        }
        StoreError::Unstorable => {
            Fault::bad_request("A text of the request holds a NUL, which this cloud cannot keep.")
        }
        StoreError::Duplicate(_) | StoreError::Defect(_) => Fault::defect(),
    }
}
