//! A cloud in this process, with one server and one image of eight items each, and the requests that are counted.

use std::path::Path;
use std::sync::{Arc, mpsc};

use futures_util::future::join_all;
use http::{HeaderValue, Method};
use kilonova::api;
use kilonova::api::message::{Body, Request};
use kilonova::cloud::{Cloud, Parts};
use kilonova::compute::work;
use kilonova::config::{self, Sources};
use kilonova::hypervisor::fake::Fake;
use kilonova::identity::random::buffered_random;
use kilonova::json::{self, Json};
use kilonova::model::time::Timestamp;
use kilonova::store::{Store, StoreError};
use tokio::sync::oneshot;

/// What is counted: the metadata operations whose cost `docs/performance.md` compares with Nova's.
pub const OPERATIONS: [&str; 7] = [
    "GET server metadata",
    "GET server item",
    "PUT server item",
    "POST server metadata, 1 item",
    "PUT server metadata, 5 items",
    "GET image metadata",
    "PUT image item",
];

/// Whether an operation waits for a commit.
pub fn writes(operation: &str) -> bool {
    !operation.starts_with("GET")
}

/// Does an operation so many times, so many of them at once.
pub async fn run(operation: &str, count: u64, at_once: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(directory.path()).await;
    for from in (0..count).step_by(usize::try_from(at_once).expect("a number of requests")) {
        if at_once == 1 {
            bench.ask(operation, from).await;
        } else {
            bench.ask_together(operation, from..count.min(from + at_once)).await;
        }
    }
    bench.cloud.store.close();
}

struct Bench {
    cloud: Arc<Cloud>,
    token: String,
    server: String,
    image: String,
}

impl Bench {
    async fn new(directory: &Path) -> Bench {
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
        let mut bench = Bench { cloud, token: String::new(), server: String::new(), image: String::new() };
        bench.log_in(&password).await;
        bench.furnish().await;
        bench
    }

    async fn log_in(&mut self, password: &str) {
        let body = format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "demo", "domain": {{"id": "default"}}, "password": "{password}"}}}}}}, "scope": {{"project": {{"name": "demo", "domain": {{"id": "default"}}}}}}}}}}"#
        );
        let mut request = Request::new(Method::POST, "/identity/v3/auth/tokens");
        request.body = Body::Bytes(body.into());
        let response = api::handle(&self.cloud, request).await;
        let token = response.headers.get("x-subject-token").expect("a token");
        self.token = token.to_str().expect("tokens are text").to_owned();
    }

    async fn furnish(&mut self) {
        let items: Vec<String> = (0..8).map(|key| format!("\"key{key}\": \"value-0000000000\"")).collect();
        let items = items.join(", ");
        let image =
            format!("{{\"name\": \"bench\", {items}, \"disk_format\": \"raw\", \"container_format\": \"bare\"}}");
        let image = self.send(Method::POST, "/image/v2/images", image).await.1;
        self.image = text(&image, "id");
        let public = self.send(Method::GET, "/image/v2/images?visibility=public", String::new()).await.1;
        let bootable =
            public.get("images").and_then(|images| images.as_array()?.first().cloned()).expect("a public image");
        let server = format!(
            "{{\"server\": {{\"name\": \"bench\", \"imageRef\": \"{}\", \"flavorRef\": \"1\", \"metadata\": {{{items}}}}}}}",
            text(&bootable, "id")
        );
        let server = self.send(Method::POST, "/v2.1/servers", server).await.1;
        self.server = text(server.get("server").expect("a server"), "id");
        while work::take_one(self.cloud.tools()).await.expect("tasks can be done") {}
    }

    async fn ask(&self, operation: &str, number: u64) {
        let (method, path, body) = self.request(operation, number);
        let status = self.send(method, &path, body).await.0;
        assert!(status == 200 || status == 204, "{operation} answers {status}");
    }

    /// Has the writer wait until all requests stand behind it, so that they share one commit however the threads are scheduled.
    async fn ask_together(&self, operation: &str, numbers: std::ops::Range<u64>) {
        let (open, gate) = mpsc::channel();
        let (entered, inside) = oneshot::channel();
        let mut entered = Some(entered);
        let store = self.cloud.store.clone();
        let holding = tokio::spawn(async move {
            let script = move |_: &mut dyn kilonova::store::Tx| {
                if let Some(entered) = entered.take() {
                    entered.send(()).expect("somebody waits before the gate");
                    gate.recv().expect("the gate is opened");
                }
                Ok::<_, StoreError>(())
            };
            store.write(script).await
        });
        inside.await.expect("the writer runs the script");
        let requests = join_all(numbers.map(|number| self.ask(operation, number)));
        let opening = async { open.send(()).expect("the writer waits before the gate") };
        // in this order: every request is in the queue before the gate opens
        tokio::join!(biased; requests, opening);
        holding.await.expect("the script does not panic").expect("a commit of nothing");
    }

    fn request(&self, name: &str, number: u64) -> (Method, String, String) {
        let (key, value) = (number % 8, format!("value-{number:010}"));
        let server = format!("/v2.1/servers/{}/metadata", self.server);
        let image = format!("/v2.1/images/{}/metadata", self.image);
        let item = format!("{{\"meta\": {{\"key{key}\": \"{value}\"}}}}");
        let items = |count: u64| {
            let items: Vec<String> = (0..count).map(|key| format!("\"key{key}\": \"{value}\"")).collect();
            format!("{{\"metadata\": {{{}}}}}", items.join(", "))
        };
        match name {
            "GET server metadata" => (Method::GET, server, String::new()),
            "GET server item" => (Method::GET, format!("{server}/key{key}"), String::new()),
            "PUT server item" => (Method::PUT, format!("{server}/key{key}"), item),
            "POST server metadata, 1 item" => (Method::POST, server, items(1)),
            "PUT server metadata, 5 items" => (Method::PUT, server, items(5)),
            "GET image metadata" => (Method::GET, image, String::new()),
            "PUT image item" => (Method::PUT, format!("{image}/key{key}"), item),
            other => panic!("no such operation: {other}"),
        }
    }

    async fn send(&self, method: Method, path: &str, body: String) -> (u16, Json) {
        let mut request = Request::new(method, path);
        request.headers.insert("host", HeaderValue::from_static("127.0.0.1:8774"));
        request.headers.insert("x-auth-token", self.token.parse().expect("tokens are text"));
        if !body.is_empty() {
            request.headers.insert("content-type", HeaderValue::from_static("application/json"));
            request.body = Body::Bytes(body.into());
        }
        let response = api::handle(&self.cloud, request).await;
        let body = response.body.read(1 << 20).await.expect("an answer can be read");
        (response.status.as_u16(), json::parse(&body).unwrap_or(Json::Null))
    }
}

fn text(json: &Json, member: &str) -> String {
    json.get(member).and_then(Json::as_str).unwrap_or_else(|| panic!("no {member} in {json}")).to_owned()
}
