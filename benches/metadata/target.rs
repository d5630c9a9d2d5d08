//! The server under load: the release binary on a fresh directory, filled with servers and images; or any other that speaks the API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use kilonova::json::{self, Json};

use super::cluster::Cluster;
use super::machine::{self, Syncs};
use super::postgres;
use super::seed;
use super::slow::Disk;

/// Where the load goes, and about what.
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// A token of a member.
    pub token: String,
    /// Servers with as many items each (`key0`, `key1` …).
    pub servers: Vec<String>,
    /// Images with the same.
    pub images: Vec<String>,
    /// How many of them each has.
    pub items_each: u64,
    /// From the making of the process until it was ready, in milliseconds.
    pub started_ms: f64,
    /// Memory when it had answered for the first time, in MiB.
    pub idle_mib: f64,
    /// The process, where it is on this machine and ours.
    pub pid: Option<u32>,
    /// Its syncs.
    pub syncs: Option<Syncs>,
    /// Its database, where that is not a file.
    pub cluster: Option<Cluster>,
    child: Option<Child>,
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // it may have ended already
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Target {
    /// Somebody else's server.
    pub fn elsewhere(url: &str, token: &str, server: &str, image: &str) -> Target {
        let authority = url.trim_start_matches("http://").trim_end_matches('/');
        let address = authority.to_socket_addrs().expect("HOST:PORT").next().expect("an address");
        let one = |id: &str| vec![id.to_owned()];
        let mut target = Target::at(address, token.to_owned());
        (target.servers, target.images) = (one(server), one(image));
        target
    }

    fn at(address: SocketAddr, token: String) -> Target {
        Target {
            address,
            token,
            servers: Vec::new(),
            images: Vec::new(),
            items_each: 8,
            started_ms: f64::NAN,
            idle_mib: f64::NAN,
            pid: None,
            syncs: None,
            cluster: None,
            child: None,
        }
    }

    /// The release binary on a directory, filled first.
    pub fn fresh(directory: &Path, servers: u64, images: u64) -> Target {
        let seeded = Seeded { servers, items_each: 8, images };
        seeded.fill(directory);
        start(directory, On { syncs: Syncs::new(directory), ..On::default() }).with(&seeded)
    }

    /// The same on a disk that can be made slow.
    pub fn on_disk(directory: &Path, seeded: &Seeded, disk: &Disk) -> Target {
        seeded.fill(directory);
        start(directory, On { disk: Some(disk), ..On::default() }).with(seeded)
    }

    /// The same on a directory that is filled already.
    pub fn start(directory: &Path) -> Target {
        start(directory, On::default())
    }

    /// Knows what was put into its directory.
    pub fn with(mut self, seeded: &Seeded) -> Target {
        self.servers = (0..seeded.servers).map(seed::server_id).collect();
        self.images = (0..seeded.images).map(seed::image_id).collect();
        self.items_each = seeded.items_each;
        self
    }

    /// The same on a PostgreSQL server of its own.
    pub fn on_postgres(directory: &Path, servers: u64, images: u64) -> Target {
        let target = start(directory, On { cluster: Some(Cluster::durable()), ..On::default() });
        let (server, image) = target.seed();
        let cluster = target.cluster.as_ref().expect("it was started with one");
        postgres::copy(cluster, "servers", &server, servers);
        postgres::copy(cluster, "images", &image, images);
        Target::filled(target, (&server, servers), (&image, images))
    }

    fn filled(mut target: Target, (server, servers): (&str, u64), (image, images): (&str, u64)) -> Target {
        target.servers = copies(server, servers);
        target.images = copies(image, images);
        target
    }

    /// A server and an image of the member's, made through the API.
    fn seed(&self) -> (String, String) {
        let items: Vec<String> = (0..8).map(|key| format!("\"key{key}\": \"value-0000000000\"")).collect();
        let items = items.join(", ");
        let image = self.call(
            "POST",
            "/image/v2/images",
            &format!("{{\"name\": \"bench\", {items}, \"disk_format\": \"raw\", \"container_format\": \"bare\"}}"),
        );
        let image = image.get("id").and_then(Json::as_str).expect("an image was made").to_owned();
        let public = self.call("GET", "/image/v2/images?visibility=public", "");
        let bootable =
            public.get("images").and_then(|images| images.as_array()?.first()?.get("id")?.as_str().map(str::to_owned));
        let bootable = bootable.expect("the first start makes a public image");
        let body = format!(
            "{{\"server\": {{\"name\": \"bench\", \"imageRef\": \"{bootable}\", \"flavorRef\": \"1\", \"metadata\": {{{items}}}}}}}"
        );
        let server = self.call("POST", "/v2.1/servers", &body);
        let server =
            server.get("server").and_then(|server| server.get("id")?.as_str()).expect("a server was made").to_owned();
        loop {
            let shown = self.call("GET", &format!("/v2.1/servers/{server}"), "");
            let status = shown.get("server").and_then(|server| server.get("status")?.as_str()).expect("a status");
            if status == "ACTIVE" {
                return (server, image);
            }
            assert_ne!(status, "ERROR", "the server to copy failed");
            std::thread::yield_now();
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Json {
        let (status, _, answer) = exchange(self.address, method, path, Some(&self.token), body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
        json::parse(&answer).unwrap_or(Json::Null)
    }
}

/// What a server is started on, beside its directory.
#[derive(Default)]
struct On<'a> {
    syncs: Option<Syncs>,
    disk: Option<&'a Disk>,
    cluster: Option<Cluster>,
}

/// Starts the binary and logs in as `demo`.
fn start(directory: &Path, On { syncs, disk, cluster }: On<'_>) -> Target {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kilonova"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"]).arg(directory.join("data"));
    if let Some(syncs) = &syncs {
        syncs.watch(&mut command);
    }
    if let Some(disk) = disk {
        disk.under(&mut command);
    }
    if let Some(cluster) = &cluster {
        command.env("KILONOVA_DATABASE", cluster.url());
    }
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it has a standard output")).lines();
    let line = lines.next().expect("it says that it is ready").expect("in text");
    let url = line.rsplit("http://").next().expect("an address").trim().to_owned();
    let address = url.parse().expect("HOST:PORT");
    // whatever else it prints is read, so that it never waits for us
    std::thread::spawn(move || lines.for_each(drop));
    exchange(address, "GET", "/", None, "");
    let (started_ms, idle_mib) = (begun.elapsed().as_secs_f64() * 1000.0, machine::resident_mib(child.id()));
    let mut target = Target::at(address, log_in(address, &directory.join("data/clouds.yaml")));
    (target.started_ms, target.idle_mib) = (started_ms, idle_mib);
    (target.pid, target.syncs, target.cluster) = (Some(child.id()), syncs, cluster);
    target.child = Some(child);
    target
}

fn log_in(address: SocketAddr, clouds: &Path) -> String {
    let text = std::fs::read_to_string(clouds).expect("the first start writes clouds.yaml");
    let demo = text.split("username: demo").nth(1).expect("demo is in it");
    let password =
        demo.split("password: ").nth(1).and_then(|rest| rest.lines().next()).expect("with a password").trim();
    let body = format!(
        "{{\"auth\": {{\"identity\": {{\"methods\": [\"password\"], \"password\": {{\"user\": {{\"name\": \"demo\", \"domain\": {{\"id\": \"default\"}}, \
         \"password\": \"{password}\"}}}}}}, \"scope\": {{\"project\": {{\"name\": \"demo\", \"domain\": {{\"id\": \"default\"}}}}}}}}}}"
    );
    let (status, head, _) = exchange(address, "POST", "/identity/v3/auth/tokens", None, &body);
    assert_eq!(status, 201, "demo can log in");
    let token = head.lines().find_map(|line| {
        line.to_ascii_lowercase().starts_with("x-subject-token:").then(|| line[16..].trim().to_owned())
    });
    token.expect("a token is in a header")
}

/// One request on a connection of its own: status, head, body.
fn exchange(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("the server accepts connections");
    let token = token.map(|token| format!("X-Auth-Token: {token}\r\n")).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{token}Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server answers");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.get(9..12).and_then(|text| text.parse().ok()).expect("a status");
    (status, head, answer.split_off(end + 4))
}

/// What is put into a directory before it is measured.
pub struct Seeded {
    /// So many servers.
    pub servers: u64,
    /// With so many items each, as images have properties.
    pub items_each: u64,
    /// So many images.
    pub images: u64,
}

impl Seeded {
    /// Starts the server once, and stops it, and puts everything in.
    pub fn fill(&self, directory: &Path) {
        drop(Target::start(directory));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let items_each = usize::try_from(self.items_each).expect("a number of items");
        runtime.block_on(seed::seed(&directory.join("data"), self.servers, items_each, self.images));
    }
}

/// The ids of a row and of its copies.
pub fn copies(id: &str, count: u64) -> Vec<String> {
    let copy = |number: u64| format!("{:08x}-0000-4000-8000-{number:012x}", (number as u32).wrapping_mul(0x9e37_79b9));
    std::iter::once(id.to_owned()).chain((1..count).map(copy)).collect()
}
