//! The people, images and servers that the cases ask about, all made through the API, as anybody would who prepares a cloud
//! for `tests/clients/compare.py`.

use std::collections::BTreeMap;

use super::normal::Names;
use crate::house::{Ask, Client, House};

/// A house with everything in it.
pub struct Seeded {
    pub house: House,
    pub people: BTreeMap<&'static str, Client>,
    pub names: Names,
}

const PASSWORD: &str = "conformance-pw";

/// Servers in every state that the cases need: name, whose, and what is done to them.
const SERVERS: [(&str, &str, Option<&str>); 10] = [
    ("server_id", "demo", None),
    ("locked_server_id", "demo", Some(r#"{"lock": null}"#)),
    ("stopped_server_id", "demo", Some(r#"{"os-stop": null}"#)),
    ("paused_server_id", "demo", Some(r#"{"pause": null}"#)),
    ("suspended_server_id", "demo", Some(r#"{"suspend": null}"#)),
    ("rescued_server_id", "demo", Some(r#"{"rescue": null}"#)),
    ("shelved_server_id", "demo", Some(r#"{"shelve": null}"#)),
    ("error_server_id", "admin", Some(r#"{"os-resetState": {"state": "error"}}"#)),
    ("other_server_id", "other", None),
    ("deleted_server_id", "demo", None),
];

pub async fn seeded() -> Seeded {
    let house = House::new().await;
    let mut seeded = Seeded { house, people: BTreeMap::new(), names: Names::default() };
    seeded.people().await;
    seeded.images().await;
    seeded.servers().await;
    seeded
}

impl Seeded {
    fn name(&mut self, name: &str, value: String) {
        self.names.0.insert(name.to_owned(), value);
    }

    async fn people(&mut self) {
        let admin_password = self.house.password("admin");
        let (admin, project, _) = self.log_in("admin", "admin", &admin_password).await;
        self.name("admin_project_id", project);
        let roles = admin.get("/identity/v3/roles").await.is(200).json();
        let roles = roles.get("roles").and_then(|roles| roles.as_array()).expect("roles").to_vec();
        for (who, user, project, role) in [
            ("demo", "conf-demo", "conf-demo", "member"),
            ("other", "conf-other", "conf-other", "member"),
            ("reader", "conf-reader", "conf-demo", "reader"),
        ] {
            let project_id = ensured(&admin, "project", project, "").await;
            let user_id = ensured(&admin, "user", user, &format!(r#", "password": "{PASSWORD}""#)).await;
            let named = |known: &&kilonova::json::Json| known.get("name").and_then(|name| name.as_str()) == Some(role);
            let role_id =
                roles.iter().find(named).and_then(|role| role.get("id")?.as_str()).expect("the role is there");
            let grant = format!("/identity/v3/projects/{project_id}/users/{user_id}/roles/{role_id}");
            admin.send(Ask::new("PUT", &grant)).await.is(204);
            let (client, project_id, user_id) = self.log_in(user, project, PASSWORD).await;
            self.people.insert(who, client);
            match who {
                "demo" => {
                    self.name("project_id", project_id);
                    self.name("user_id", user_id);
                }
                "other" => self.name("other_project_id", project_id),
                _ => {}
            }
        }
        self.people.insert("admin", admin);
    }

    /// The client, its project's id and its user's.
    async fn log_in(&self, user: &str, project: &str, password: &str) -> (Client, String, String) {
        let body = format!(
            r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user": {{"name": "{user}", "domain": {{"id": "default"}},
            "password": "{password}"}}}}}}, "scope": {{"project": {{"name": "{project}", "domain": {{"id": "default"}}}}}}}}}}"#
        );
        let reply = self.house.nobody().post("/identity/v3/auth/tokens", &body).await.is(201);
        let token = reply.header("x-subject-token").expect("a token").to_owned();
        (self.house.bearer(&token), reply.text_at("token.project.id"), reply.text_at("token.user.id"))
    }

    async fn images(&mut self) {
        for (name, who, image, more) in [
            ("image_id", "demo", "oracle-image", ""),
            ("protected_image_id", "demo", "protected-image", r#", "protected": true"#),
            ("other_image_id", "other", "other-image", ""),
            ("public_image_id", "admin", "public-image", r#", "visibility": "public""#),
            ("deleted_image_id", "demo", "deleted-image", ""),
        ] {
            let body =
                format!(r#"{{"name": "{image}", "disk_format": "raw", "container_format": "bare", "k1": "v1"{more}}}"#);
            let client = self.people[who].clone();
            let id = client.post("/image/v2/images", &body).await.is(201).text_at("id");
            let path = format!("/image/v2/images/{id}");
            let data = Ask::new("PUT", &format!("{path}/file")).header("content-type", "application/octet-stream");
            client.send(data.body(vec![0; 1 << 20])).await.is(204);
            if name.starts_with("deleted") {
                client.delete(&path).await.is(204);
            }
            self.name(name, id);
        }
    }

    async fn servers(&mut self) {
        let image = self.names.0["public_image_id"].clone();
        for (name, who, act) in SERVERS {
            let server = name.trim_end_matches("_id").replace('_', "-").replace("server", "oracle-server");
            let server = if name == "server_id" { "oracle-server".to_owned() } else { server };
            let body = format!(
                r#"{{"server": {{"name": "{server}", "imageRef": "{image}", "flavorRef": "1", "networks": "none", "metadata": {{"k1": "v1"}}}}}}"#
            );
            let owner = if who == "other" { "other" } else { "demo" };
            let create = Ask::new("POST", "/v2.1/servers").version("2.37").json(&body);
            let id = self.people[owner].send(create).await.is(202).text_at("server.id");
            self.house.settle().await;
            let path = format!("/v2.1/servers/{id}");
            if let Some(act) = act {
                let status = if name == "rescued_server_id" { 200 } else { 202 };
                self.people[who].post(&format!("{path}/action"), act).await.is(status);
            }
            if name.starts_with("deleted") {
                self.people[owner].delete(&path).await.is(204);
            }
            self.house.settle().await;
            self.name(name, id);
        }
    }
}

async fn ensured(admin: &Client, kind: &str, name: &str, more: &str) -> String {
    let found = admin.get(&format!("/identity/v3/{kind}s?name={name}")).await.is(200).json();
    let found = found
        .get(&format!("{kind}s"))
        .and_then(|found| found.as_array()?.first()?.get("id")?.as_str().map(str::to_owned));
    if let Some(id) = found {
        return id;
    }
    let body = format!(r#"{{"{kind}": {{"name": "{name}", "domain_id": "default"{more}}}}}"#);
    admin.post(&format!("/identity/v3/{kind}s"), &body).await.is(201).text_at(&format!("{kind}.id"))
}
