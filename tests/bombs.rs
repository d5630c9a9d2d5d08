//! What small requests cost at most, in memory: every allocation of this process is counted, so nothing here depends on the machine or the clock.
//! A body of the greatest length costs at most so many times its bytes whatever is in it, and one of half the length about half.

#![allow(unsafe_code)] // an allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderName, HeaderValue, Method};
use kilonova::api;
use kilonova::api::message::{Body, Request};
use kilonova::cloud::{Cloud, Parts};
use kilonova::config::{self, Sources};
use kilonova::hypervisor::fake::Fake;
use kilonova::identity::random::buffered_random;
use kilonova::json;
use kilonova::model::time::Timestamp;
use kilonova::policy::file::parse_file;
use kilonova::store::Store;

/// The system's allocator, counted: what is in use, the most that was, and all that was ever asked for.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    TOTAL.fetch_add(bytes, Ordering::Relaxed);
    let used = USED.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(used, Ordering::Relaxed);
}

// SAFETY: all is left to the system's allocator, with the same arguments
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // as if both were there for a moment, which they are where it has to be moved
        count(bytes);
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What something took: at most at one time, and altogether.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    peak: usize,
    total: usize,
}

impl Cost {
    fn begin() -> Cost {
        let used = USED.load(Ordering::Relaxed);
        PEAK.store(used, Ordering::Relaxed);
        Cost { peak: used, total: TOTAL.load(Ordering::Relaxed) }
    }

    fn until_now(self) -> Cost {
        let (peak, total) = (PEAK.load(Ordering::Relaxed), TOTAL.load(Ordering::Relaxed));
        Cost { peak: peak.saturating_sub(self.peak), total: total - self.total }
    }
}

/// The greatest body, as the settings have it.
const BODY_BYTES: usize = 112 << 10;

/// So much of a unit as fits between two others.
fn fill(bytes: usize, before: &str, unit: &str, after: &str) -> String {
    format!("{before}{}{after}", unit.repeat((bytes - before.len() - after.len()) / unit.len()))
}

/// Members of which each has another key, made by `key`, up to so many bytes.
fn members(bytes: usize, key: impl Fn(usize) -> String) -> String {
    let mut text = String::from(r#"{"metadata": {"#);
    for number in 0.. {
        let member = format!(r#""{}":"","#, key(number));
        if text.len() + member.len() + 6 > bytes {
            break;
        }
        text.push_str(&member);
    }
    text + r#""":""}}"#
}

/// Texts of one length that have the same value under hash functions that multiply by 31, as Java's and many others' do, or by 33: `Aa` and `BB`,
/// `b"Ez"` and `b"FY"`.
fn colliding(number: usize, pair: [&str; 2]) -> String {
    (0..18).map(|bit| pair[number >> bit & 1]).collect()
}

/// Bodies of a length: by name.
fn bodies(bytes: usize) -> Vec<(&'static str, String)> {
    vec![
        ("lists in lists", fill(bytes, "", "[", "")),
        ("lists in lists that end", format!("{}{}", "[".repeat(bytes / 2), "]".repeat(bytes / 2))),
        ("objects in objects", fill(bytes, "", r#"{"a":"#, "")),
        ("many empty lists", fill(bytes, "[", "[],", "[]]")),
        ("many empty objects", fill(bytes, "[", "{},", "{}]")),
        ("many small objects", fill(bytes, "[", r#"{"":0},"#, "{}]")),
        ("many numbers", fill(bytes, "[", "1,", "1]")),
        ("a long number", fill(bytes, r#"{"metadata": "#, "9", "}")),
        ("a long fraction", fill(bytes, r#"{"metadata": 0."#, "9", "}")),
        ("many long numbers", fill(bytes, "[", &format!("{},", "9".repeat(1000)), "1]")),
        ("escapes", fill(bytes, r#"{"metadata": {"a": ""#, "\\u0041", r#""}}"#)),
        ("escapes of two", fill(bytes, r#"{"metadata": {"a": ""#, "\\ud83d\\ude00", r#""}}"#)),
        ("half escapes", fill(bytes, r#"{"metadata": {"a": ""#, "\\ud800", r#""}}"#)),
        ("control characters to be escaped again", fill(bytes, r#"{"metadata": {"a": ""#, "\\u0001", r#""}}"#)),
        ("one key again and again", members(bytes, |_| "k".to_owned())),
        ("keys of one hash, times 31", members(bytes, |number| colliding(number, ["Aa", "BB"]))),
        ("keys of one hash, times 33", members(bytes, |number| colliding(number, ["Ez", "FY"]))),
        ("keys of one length", members(bytes, |number| format!("{number:08}"))),
        ("short keys", members(bytes, |number| format!("{number:x}"))),
        ("one long text", fill(bytes, r#"{"metadata": {"a": ""#, "x", r#""}}"#)),
        ("blanks", fill(bytes, "", " ", "x")),
        (
            "a patch of many",
            fill(bytes, "[", r#"{"op":"add","path":"/a","value":"b"},"#, r#"{"op":"add","path":"/a","value":"b"}]"#),
        ),
        ("a patch of deep paths", fill(bytes, r#"[{"op":"add","value":"b","path":""#, "/a", r#""}]"#)),
        ("a patch of escaped paths", fill(bytes, r#"[{"op":"add","value":"b","path":"/"#, "~0~1", r#""}]"#)),
    ]
}

/// A test of all: two that ran at once would count each other's.
#[test]
fn nothing_costs_more_memory_than_some_times_its_bytes() {
    parsing();
    policies();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(requests());
}

/// Parsing costs at most so many times the bytes.
const PARSED: usize = 64;

fn parsing() {
    // beyond any body, so that nothing constant counts
    for ((name, half), (_, whole)) in bodies(1 << 20).into_iter().zip(bodies(2 << 20)) {
        let cost = |text: &str| {
            let begun = Cost::begin();
            drop(json::parse(text.as_bytes()));
            begun.until_now()
        };
        let (one, two) = (cost(&half), cost(&whole));
        println!(
            "{name}: {:.1} times its bytes, {:.1} altogether",
            ratio(two.peak, whole.len()),
            ratio(two.total, whole.len())
        );
        assert!(two.peak <= PARSED * whole.len(), "{name}: {two:?} for {} bytes", whole.len());
        assert_is_linear(name, one, two);
    }
}

/// What doubles may double, and a table that grows by doubling may have grown once more.
#[track_caller]
fn assert_is_linear(name: &str, one: Cost, two: Cost) {
    const FIXED: usize = 1 << 16;
    assert!(two.total <= 3 * one.total + FIXED, "{name}: {one:?}, and of twice the length {two:?}");
    assert!(two.peak <= 3 * one.peak + FIXED, "{name}: {one:?}, and of twice the length {two:?}");
}

fn ratio(bytes: usize, of: usize) -> f64 {
    bytes as f64 / of as f64
}

/// Rules that are long, deep, or refer to each other.
fn policies() {
    let texts = |count: usize| {
        let rule = |right: String| format!("\"os_compute_api:limits\": \"{right}\"\n");
        vec![
            ("brackets", rule("(".repeat(count))),
            ("brackets that end", rule(format!("{}@{}", "(".repeat(count), ")".repeat(count)))),
            ("not", rule("not ".repeat(count) + "@")),
            ("or", rule("role:a or ".repeat(count) + "@")),
            ("lists in lists", "[".repeat(count)),
            ("references", format!("a: &a [x]\n{}", "b: *a\n".repeat(count))),
        ]
    };
    for ((name, half), (_, whole)) in texts(2_000).into_iter().zip(texts(4_000)) {
        let cost = |text: &str| {
            let begun = Cost::begin();
            // whether it is refused is the business of others
            drop(parse_file(Path::new("policy.yaml"), text));
            begun.until_now()
        };
        assert_is_linear(name, cost(&half), cost(&whole));
    }
}

struct Client {
    cloud: Arc<Cloud>,
    token: String,
}

impl Client {
    async fn new(directory: &Path) -> Client {
        let data_dir = directory.to_str().expect("temporary directories have names in UTF-8").to_owned();
        let flags = vec![("data_dir", data_dir), ("password_hash_rounds", "4".to_owned())];
        let sources = Sources { config: None, flags, environment: Vec::new() };
        let parts = Parts {
            settings: config::load(&sources).expect("the defaults are settings").settings,
            store: Store::embedded(directory).await.expect("a fresh database opens"),
            driver: Arc::new(Fake::new()),
            clock: Arc::new(|| Timestamp::from_microseconds(1_767_225_600_000_000)),
            chance: Arc::new(buffered_random),
            public_url: "http://127.0.0.1:8774".into(),
        };
        let cloud = Cloud::new(directory, parts).expect("a cloud");
        let logins = cloud.begin().await.expect("a first start");
        let password = logins.iter().find(|login| login.name == "demo").expect("demo").password.expose().to_owned();
        let mut client = Client { cloud, token: String::new() };
        let body = format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "demo", "domain": {{"id": "default"}}, "password": "{password}"}}}}}}, "scope": {{"project": {{"name": "demo", "domain": {{"id": "default"}}}}}}}}}}"#
        );
        let mut request = Request::new(Method::POST, "/identity/v3/auth/tokens");
        request.body = Body::Bytes(body.into());
        let response = api::handle(&client.cloud, request).await;
        let token = response.headers.get("x-subject-token").expect("a token");
        client.token = token.to_str().expect("tokens are text").to_owned();
        client
    }

    /// What a request takes, its answer with it.
    async fn cost(&self, (method, path): (Method, &str), kind: &'static str, body: String) -> (Cost, u16) {
        let mut request = Request::new(method, path);
        request.headers.insert("content-type", HeaderValue::from_static(kind));
        request.headers.insert("x-auth-token", self.token.parse().expect("tokens are text"));
        request.body = Body::Bytes(body.into());
        let begun = Cost::begin();
        let status = api::handle(&self.cloud, request).await.status.as_u16();
        (begun.until_now(), status)
    }
}

/// A request costs at most so many times its bytes, beside what any request takes.
const ASKED: usize = 60;
const ANY_REQUEST: usize = 1 << 20;

async fn requests() {
    let directory = tempfile::tempdir().expect("a directory");
    let client = Client::new(directory.path()).await;
    assert_eq!(client.cloud.settings.max_request_body_bytes, BODY_BYTES as u64);
    let image = "/image/v2/images/6f9c6b2e-0000-4000-8000-000000000002";
    let doors = [
        (Method::PUT, "/v2.1/servers/6f9c6b2e-0000-4000-8000-000000000001/metadata", "application/json"),
        (Method::POST, "/v2.1/servers", "application/json"),
        (Method::POST, "/v2.1/os-keypairs", "application/json"),
        (Method::POST, "/identity/v3/auth/tokens", "application/json"),
        (Method::POST, "/identity/v3/users", "application/json"),
        (Method::POST, "/image/v2/images", "application/json"),
        (Method::PATCH, image, "application/openstack-images-v2.1-json-patch"),
    ];
    let mut worst = (Cost::default(), String::new());
    for (method, path, kind) in doors {
        for (name, body) in bodies(BODY_BYTES) {
            let bytes = body.len();
            let (cost, status) = client.cost((method.clone(), path), kind, body).await;
            assert!((400..500).contains(&status), "{method} {path}, {name}: {status}");
            assert!(cost.peak <= ASKED * bytes + ANY_REQUEST, "{method} {path}, {name}: {cost:?} for {bytes} bytes");
            if cost.peak > worst.0.peak {
                worst = (cost, format!("{method} {path}, {name}: {:.1} times its bytes", ratio(cost.peak, bytes)));
            }
        }
    }
    println!("the worst request: {}", worst.1);
    headers(&client).await;
    client.cloud.store.close();
}

/// As many and as long headers as the door lets in.
async fn headers(client: &Client) {
    let mut request = Request::new(Method::GET, "/v2.1/servers");
    request.headers.insert("x-auth-token", client.token.parse().expect("tokens are text"));
    let long = HeaderValue::try_from("x".repeat((64 << 10) / 100)).expect("text");
    for number in 0..99 {
        let name = HeaderName::try_from(format!("x-header-{number}")).expect("a name");
        request.headers.insert(name, long.clone());
    }
    let begun = Cost::begin();
    assert_eq!(api::handle(&client.cloud, request).await.status.as_u16(), 200);
    let cost = begun.until_now();
    assert!(cost.peak <= ANY_REQUEST, "100 headers of 64 KiB: {cost:?}");
}
