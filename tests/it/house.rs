//! A cloud in a temporary directory, and people who ask it things. Time and chance are the test's: nothing here sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http::{HeaderName, HeaderValue, Method};
use kilonova::api;
use kilonova::api::message::{Body, Request};
use kilonova::cloud::{Cloud, Parts};
use kilonova::compute::work;
use kilonova::config::{self, Database, Settings, Sources};
use kilonova::hypervisor::Driver;
use kilonova::hypervisor::fake::Fake;
use kilonova::identity::bootstrap::Login;
use kilonova::identity::token::{self, Scope, Token};
use kilonova::json::{self, Json};
use kilonova::model::ids::{ProjectId, RoleId, UserId};
use kilonova::model::time::Timestamp;
use kilonova::store::{Store, Tx, identity_admin};

use crate::plans::Plans;
use crate::unsteady::{Faults, Outliving, Unsteady};

/// When every house begins: 2026-01-01T00:00:00Z.
pub const BEGINNING_MICROSECONDS: i64 = 1_767_225_600_000_000;

/// A cloud of a test's own.
pub struct House {
    pub cloud: Arc<Cloud>,
    pub driver: Arc<Fake>,
    turns: Turns,
    directory: tempfile::TempDir,
    logins: Vec<Login>,
    unsteady: Option<(Arc<Faults>, Arc<Outliving>)>,
    /// Looked at when the house falls.
    _plans: Plans,
}

/// What goes on while a house is restarted.
#[derive(Clone)]
pub struct Turns {
    /// Microseconds.
    clock: Arc<AtomicI64>,
    /// How often chance was asked.
    drawn: Arc<AtomicU64>,
}

impl Turns {
    fn first() -> Turns {
        Turns { clock: Arc::new(AtomicI64::new(BEGINNING_MICROSECONDS)), drawn: Arc::default() }
    }

    /// Lets time pass.
    pub fn later(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl House {
    /// A fresh cloud with nobody but those of the first start in it.
    pub async fn new() -> House {
        House::with(|_| {}).await
    }

    /// A fresh cloud with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> House {
        House::within(tempfile::tempdir().expect("a temporary directory"), change).await
    }

    /// The same in a directory that may say already where its database is.
    pub async fn within(directory: tempfile::TempDir, change: impl FnOnce(&mut Settings)) -> House {
        let settings = settings(directory.path(), change);
        House::open(directory, settings, Arc::new(Fake::new()), Turns::first(), None).await
    }

    /// A fresh cloud on a store and a driver that fail when they are told to.
    pub async fn unsteady() -> (House, Arc<Faults>, Arc<Outliving>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let settings = settings(directory.path(), |_| {});
        let (driver, faults) = (Arc::new(Fake::new()), Arc::new(Faults::default()));
        let outliving = Arc::new(Outliving::new(driver.clone(), faults.clone()));
        let unsteady = Some((faults.clone(), outliving.clone()));
        (House::open(directory, settings, driver, Turns::first(), unsteady).await, faults, outliving)
    }

    async fn open(
        directory: tempfile::TempDir,
        settings: Settings,
        driver: Arc<Fake>,
        turns: Turns,
        unsteady: Option<(Arc<Faults>, Arc<Outliving>)>,
    ) -> House {
        let plans = Plans::default();
        let (store, runs): (Store, Arc<dyn Driver>) = match &unsteady {
            Some((faults, outliving)) => {
                let engine = Unsteady::new(crate::engine::raw(directory.path()).await, faults.clone());
                (Store::on(Arc::new(engine)).await.expect("a fresh database opens"), outliving.clone())
            }
            None => (crate::engine::watched_store(directory.path(), &plans).await, driver.clone()),
        };
        let time = turns.clock.clone();
        let parts = Parts {
            settings,
            store,
            driver: runs,
            clock: Arc::new(move || Timestamp::from_microseconds(time.load(Ordering::SeqCst))),
            chance: chance(turns.drawn.clone()),
            public_url: "http://kilonova.test".into(),
        };
        let cloud = Cloud::new(directory.path(), parts).expect("a cloud in a temporary directory");
        let logins = cloud.begin().await.expect("a first start");
        work::take_back(cloud.tools()).await.expect("what was under way is taken back");
        House { cloud, driver, turns, directory, logins, unsteady, _plans: plans }
    }

    /// Another process on the same database and directory, as far as a test can make one: it shares no memory with the first. None on
    /// the embedded database, which serves one process only.
    pub async fn neighbour(&self) -> Option<Arc<Cloud>> {
        if !crate::engine::on_postgres() {
            return None;
        }
        // it signs with a name of its own, as processes do that share a database
        let mut settings = self.cloud.settings.clone();
        settings.database = Database::Postgres(String::new());
        let time = self.turns.clock.clone();
        let parts = Parts {
            settings,
            store: crate::engine::store(self.directory()).await,
            driver: Arc::new(Fake::new()),
            clock: Arc::new(move || Timestamp::from_microseconds(time.load(Ordering::SeqCst))),
            // other chance, or it would call itself by the name of the first
            chance: chance(Arc::new(AtomicU64::new(1 << 32))),
            public_url: "http://kilonova.test".into(),
        };
        Some(Cloud::new(self.directory(), parts).expect("a second cloud in the same directory"))
    }

    /// Stops the process, as far as a test can, and starts it again on the same directory.
    pub async fn restarted(self) -> House {
        let House { cloud, driver, turns, directory, logins, unsteady, _plans: _ } = self;
        cloud.store.close();
        let settings = cloud.settings.clone();
        drop(cloud);
        House { logins, ..House::open(directory, settings, driver, turns, unsteady).await }
    }

    /// The password that the first start made for `admin` or `demo`.
    pub fn password(&self, name: &str) -> String {
        let login = self.logins.iter().find(|login| login.name == name).expect("one of the first start");
        login.password.expose().to_owned()
    }

    /// Does everything that remains to be done for servers.
    pub async fn settle(&self) {
        while work::take_one(self.cloud.tools()).await.expect("tasks can be done") {}
    }

    /// Lets time pass.
    pub fn later(&self, seconds: i64) {
        self.turns.later(seconds);
    }

    /// The clock, for whoever lets time pass beside the house.
    pub fn turns(&self) -> Turns {
        self.turns.clone()
    }


    /// Where the cloud keeps its things.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Somebody without a token.
    pub fn nobody(&self) -> Client {
        Client { cloud: self.cloud.clone(), token: None }
    }

    /// Somebody with this very token.
    pub fn bearer(&self, token: &str) -> Client {
        Client { cloud: self.cloud.clone(), token: Some(token.to_owned()) }
    }

    /// Somebody with one role in a project of this name; both are made when they are new.
    pub async fn person(&self, role: &str, project: &str) -> Client {
        let name = format!("{role}-of-{project}");
        let (user_id, project_id) = (id_of(&name), id_of(project));
        let (role, now) = (role.to_owned(), self.cloud.now());
        let (user, in_project): (UserId, ProjectId) = (user_id.parse().expect("id"), project_id.parse().expect("id"));
        let project = project.to_owned();
        let script = move |tx: &mut dyn Tx| {
            if tx.number("SELECT count(*) FROM projects WHERE id = $1", &[in_project.as_str().into()])? == 0 {
                identity_admin::insert_project(tx, &in_project, &project)?;
            }
            if tx.number("SELECT count(*) FROM users WHERE id = $1", &[user.as_str().into()])? == 0 {
                identity_admin::insert_user(tx, &user, &name, "", now)?;
            }
            let known = tx.first("SELECT id FROM roles WHERE name = $1", &[role.as_str().into()], |row| {
                Ok(row.text(0)?.parse::<RoleId>().expect("a role has an id"))
            })?;
            let role_id = known.unwrap_or_else(|| id_of(&role).parse().expect("id"));
            if tx.number("SELECT count(*) FROM roles WHERE id = $1", &[role_id.as_str().into()])? == 0 {
                identity_admin::insert_role(tx, &role_id, &role)?;
            }
            identity_admin::insert_grant(tx, &user, "project", in_project.as_str(), &role_id)
        };
        self.cloud.store.write(script).await.expect("a person can be made");
        self.cloud.callers.forget();
        self.bearer(&self.token(&user_id, Scope::Project(project_id)))
    }

    /// A token as Identity would give it.
    pub fn token(&self, user_id: &str, scope: Scope) -> String {
        let now = self.cloud.now().microseconds() / 1_000_000;
        self.cloud.keys.seal(&Token {
            user_id: user_id.to_owned(),
            scope,
            methods: token::Methods::default().with(token::Method::Password),
            issued_at: now,
            expires_at: now + 3600,
            audit_ids: vec!["AAAAAAAAAAAAAAAAAAAAAA".into()],
            application_credential_id: None,
        })
    }
}

/// The id of somebody or something of this name: the same in every house.
pub fn id_of(name: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}{:016x}", hash.rotate_left(32))
}

fn settings(directory: &std::path::Path, change: impl FnOnce(&mut Settings)) -> Settings {
    let flags = vec![
        ("data_dir", directory.to_str().expect("temporary directories have names in UTF-8").to_owned()),
        ("password_hash_rounds", "4".to_owned()),
    ];
    let sources = Sources { config: None, flags, environment: Vec::new() };
    let mut settings = config::load(&sources).expect("the defaults are settings").settings;
    change(&mut settings);
    settings
}

/// Chance that is the same at every run, and goes on after a restart.
fn chance(drawn: Arc<AtomicU64>) -> kilonova::cloud::Chance {
    Arc::new(move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(8) {
            let mut z = drawn.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    })
}

/// Somebody who asks.
#[derive(Clone)]
pub struct Client {
    pub cloud: Arc<Cloud>,
    pub token: Option<String>,
}

impl Client {
    pub async fn get(&self, target: &str) -> Reply {
        self.send(Ask::new("GET", target)).await
    }

    pub async fn delete(&self, target: &str) -> Reply {
        self.send(Ask::new("DELETE", target)).await
    }

    pub async fn post(&self, target: &str, body: &str) -> Reply {
        self.send(Ask::new("POST", target).json(body)).await
    }

    pub async fn put(&self, target: &str, body: &str) -> Reply {
        self.send(Ask::new("PUT", target).json(body)).await
    }

    pub async fn patch(&self, target: &str, body: &str) -> Reply {
        self.send(Ask::new("PATCH", target).json(body)).await
    }

    /// Sends whatever was asked, with the token where none is in the headers.
    pub async fn send(&self, ask: Ask) -> Reply {
        let mut request = Request::new(Method::from_bytes(ask.method.as_bytes()).expect("a method"), &ask.target);
        request.headers.insert("host", HeaderValue::from_static("kilonova.test"));
        for (name, value) in &ask.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            request.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        }
        if let Some(token) = self.token.as_ref().filter(|_| !request.headers.contains_key("x-auth-token")) {
            request.headers.insert("x-auth-token", token.parse().expect("tokens are text"));
        }
        request.body = Body::Bytes(ask.body.clone().into());
        let response = api::handle(&self.cloud, request).await;
        let body = response.body.read(1 << 30).await.expect("an answer can be read");
        Reply { ask, status: response.status.as_u16(), headers: response.headers, body: body.to_vec() }
    }
}

/// A request in the making.
#[derive(Debug, Clone)]
pub struct Ask {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &str, target: &str) -> Ask {
        Ask { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// In this microversion of Compute.
    pub fn version(self, version: &str) -> Ask {
        self.header("openstack-api-version", &format!("compute {version}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &str) -> Ask {
        self.header("content-type", "application/json").body(body)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    ask: Ask,
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// Insists on a status.
    #[track_caller]
    pub fn is(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{} {} answered {}", self.ask.method, self.ask.target, self.text());
        self
    }

    /// Insists on a body, to the byte.
    #[track_caller]
    pub fn says(self, body: &str) -> Reply {
        assert_eq!(self.text(), body, "{} {}", self.ask.method, self.ask.target);
        self
    }

    /// Insists on a fault of this status and sentence.
    #[track_caller]
    pub fn refuses(self, status: u16, sentence: &str) -> Reply {
        let reply = self.is(status);
        let json = reply.json();
        let fault = json.as_object().and_then(|object| object.iter().next()).map(|(_, fault)| fault.clone());
        let message = fault.as_ref().and_then(|fault| fault.get("message")).and_then(Json::as_str);
        assert_eq!(message, Some(sentence), "{} {}", reply.ask.method, reply.ask.target);
        reply
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        json::parse(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The text at a path of members and indices, such as `server.links.0.href`.
    #[track_caller]
    pub fn at(&self, path: &str) -> Json {
        let mut json = self.json();
        for step in path.split('.') {
            let next = match step.parse::<usize>() {
                Ok(index) => json.as_array().and_then(|array| array.get(index)).cloned(),
                Err(_) => json.get(step).cloned(),
            };
            json = next.unwrap_or_else(|| panic!("no {path} in {}", self.text()));
        }
        json
    }

    /// As `at`, for text.
    #[track_caller]
    pub fn text_at(&self, path: &str) -> String {
        self.at(path).as_str().unwrap_or_else(|| panic!("{path} is not text in {}", self.text())).to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
