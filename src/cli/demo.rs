//! `kilonova demo`: a cloud in a temporary directory, and the five metadata operations of the API documents against it, with every request
//! and reply shown. Nothing is left behind.

use std::error::Error;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use http::{HeaderValue, Method, header};

use super::start;
use crate::api;
use crate::api::message::{Body, Request};
use crate::cloud::Cloud;
use crate::config::{self, Sources};
use crate::identity::bootstrap::Login;
use crate::identity::random::os_random;
use crate::json::{self, Json};

/// How often the demo looks whether its server is up.
const LOOK: Duration = Duration::from_millis(2);
/// How many times at most.
const LOOKS_MAX: usize = 5_000;
/// What an answer may be long.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Demo;

impl Demo {
    pub(super) fn run(self) -> ExitCode {
        let directory = Temporary::new();
        let outcome = directory.and_then(|directory| shown_in(&directory.0));
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(cause) => {
                eprintln!("the demo failed: {cause}");
                ExitCode::FAILURE
            }
        }
    }
}

/// A directory that goes with its value.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Temporary, Box<dyn Error>> {
        let mut name = [0; 8];
        os_random(&mut name);
        let path = std::env::temp_dir().join(format!("kilonova-demo-{:016x}", u64::from_ne_bytes(name)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // what is left in a temporary directory is cleared by the system
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn shown_in(directory: &Path) -> Result<(), Box<dyn Error>> {
    let data_dir = directory.to_str().ok_or("the temporary directory has no name in UTF-8")?;
    let flags = vec![("data_dir", data_dir.to_owned())];
    let loaded = config::load(&Sources { config: None, flags, environment: Vec::new() });
    let settings = loaded.map_err(|errors| format!("{errors:?}"))?.settings;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (cloud, logins) = start::open(settings, "http://127.0.0.1:8774".into()).await?;
        start::keep_going(&cloud, SystemTime::now());
        Visitor::log_in(cloud, &logins).await?.look_around().await
    })
}

/// Somebody who tries things.
struct Visitor {
    cloud: Arc<Cloud>,
    token: HeaderValue,
    project: String,
}

impl Visitor {
    async fn log_in(cloud: Arc<Cloud>, logins: &[Login]) -> Result<Visitor, Box<dyn Error>> {
        let demo = logins.iter().find(|login| login.name == "demo").ok_or("there is nobody called demo")?;
        super::print("Logging in as demo …\n");
        let body = format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "demo", "domain": {{"id": "default"}}, "password": "{}"}}}}}}, "scope": {{"project": {{"name": "demo", "domain": {{"id": "default"}}}}}}}}}}"#,
            demo.password.expose()
        );
        let mut request = Request::new(Method::POST, "/identity/v3/auth/tokens");
        request.body = Body::Bytes(body.into());
        let response = api::handle(&cloud, request).await;
        let token = response.headers.get("x-subject-token").cloned().ok_or("no token was given")?;
        let body = json::parse(&response.body.read(ANSWER_BYTES_MAX).await?)?;
        let project = body.get("token").and_then(|token| token.get("project")?.get("id")?.as_str());
        let project = project.ok_or("the token names no project")?.to_owned();
        Ok(Visitor { cloud, token, project })
    }

    async fn look_around(&self) -> Result<(), Box<dyn Error>> {
        super::print("Making an image and booting a server …\n");
        let image = r#"{"name": "mine", "label": "Original", "disk_format": "raw", "container_format": "bare"}"#;
        let image = self.ask(Method::POST, "/image/v2/images", image).await?;
        let image = text(&image, &["id"])?;
        let bootable = self.ask(Method::GET, "/image/v2/images?visibility=public", "").await?;
        let bootable = bootable.get("images").and_then(|images| images.as_array()?.first()).ok_or("no public image")?;
        let server = format!(
            r#"{{"server": {{"name": "first", "imageRef": "{}", "flavorRef": "1", "metadata": {{"color": "red"}}}}}}"#,
            text(bootable, &["id"])?
        );
        let server = text(&self.ask(Method::POST, "/v2.1/servers", &server).await?, &["server", "id"])?;
        self.wait_for(&server).await?;
        let project = &self.project;
        let on_image = format!("images/{image}/metadata");
        let on_server = format!("servers/{server}/metadata");
        super::print("\nThe five operations of the API documents:\n");
        let five = [
            (
                Method::PUT,
                format!("/v2.1/{project}/{on_image}/auto_disk_config"),
                r#"{"meta": {"auto_disk_config": "False"}}"#,
            ),
            (Method::PUT, format!("/v2/{on_image}/label"), r#"{"meta": {"label": "Replaced"}}"#),
            (Method::PUT, format!("/v2.1/{project}/{on_server}/foo"), r#"{"meta": {"foo": "Bar Value"}}"#),
            (
                Method::POST,
                format!("/v2/{on_image}"),
                r#"{"metadata": {"Category": "Webserver Retail Outlet project", "Owner": "John, Doe", "Label": "Updated"}}"#,
            ),
            (Method::POST, format!("/v2.1/{project}/{on_server}"), r#"{"metadata": {"foo": "Foo Value"}}"#),
        ];
        for (method, path, body) in five {
            self.show(method, &path, body).await?;
        }
        super::print("\nAnd what came of it:\n");
        self.show(Method::GET, &format!("/v2.1/{on_server}"), "").await?;
        self.show(Method::GET, &format!("/v2.1/{on_image}"), "").await?;
        super::print("\n`kilonova serve` starts a cloud to keep.\n");
        Ok(())
    }

    async fn wait_for(&self, server: &str) -> Result<(), Box<dyn Error>> {
        for _ in 0..LOOKS_MAX {
            let shown = self.ask(Method::GET, &format!("/v2.1/servers/{server}"), "").await?;
            match text(&shown, &["server", "status"])?.as_str() {
                "ACTIVE" => return Ok(()),
                "ERROR" => return Err("the server did not come up".into()),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
        Err("the server took too long to come up".into())
    }

    async fn show(&self, method: Method, path: &str, body: &str) -> Result<(), Box<dyn Error>> {
        super::print(&format!("\n> {method} {path}\n"));
        if !body.is_empty() {
            super::print(&format!("> {body}\n"));
        }
        let (status, answer) = self.send(method, path, body).await?;
        super::print(&format!("< {status}\n< {}\n", String::from_utf8_lossy(&answer)));
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Json, Box<dyn Error>> {
        let asked = format!("{method} {path}");
        let (status, answer) = self.send(method, path, body).await?;
        if !status.is_success() {
            return Err(format!("{asked} answered {status}: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(json::parse(&answer)?)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<(http::StatusCode, bytes::Bytes), Box<dyn Error>> {
        let mut request = Request::new(method, path);
        request.headers.insert("x-auth-token", self.token.clone());
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = Body::Bytes(body.to_owned().into());
        let response = api::handle(&self.cloud, request).await;
        Ok((response.status, response.body.read(ANSWER_BYTES_MAX).await?))
    }
}

/// The text at a path of members.
fn text(json: &Json, path: &[&str]) -> Result<String, Box<dyn Error>> {
    let found = path.iter().try_fold(json, |json, member| json.get(member)).and_then(Json::as_str);
    Ok(found.ok_or_else(|| format!("the answer has no {}", path.join(".")))?.to_owned())
}
