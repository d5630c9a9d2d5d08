//! Who may do what: every row of the table, at every door, asked by everybody. The answers stand in `matrix.txt`, which was read line
//! by line against the defaults of Nova, Keystone and Glance; `UPDATE=1` writes it anew.

mod asks;
pub mod people;
pub mod stage;

use std::collections::BTreeMap;
use std::fmt::Write;

use kilonova::api::dialect::{self, Api, Dialect};
use kilonova::api::endpoint::Operation;
use kilonova::api::table;
use kilonova::api::version::Microversion;
use kilonova::identity::token_keys::TokenKeys;
use kilonova::model::ids::RoleId;
use kilonova::store::{Row, StoreError, Tx};

use crate::house::{Ask, Client, House, id_of};
use crate::{pages, table as walk};
use asks::{MORE, NEVER_WELL, Needs, VALUES};
use people::PEOPLE;

const PAGE: &str = "tests/it/matrix.txt";

/// A line of the matrix.
struct Line {
    name: String,
    ask: Ask,
    /// Whether an answer that is well has changed something.
    writes: bool,
    given: &'static [&'static str],
}

#[tokio::test]
async fn everybody_may_do_what_the_matrix_says() {
    let house = stage::furnished().await;
    let ids = Ids::found(&house).await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let mut chance = |bytes: &mut [u8]| bytes.fill(7);
    let keys = TokenKeys::load_or_create(&elsewhere.path().join("keys"), &mut chance).expect("keys");
    let people: Vec<Client> = PEOPLE.iter().map(|person| person.client(&house, &keys)).collect();
    let mut page = head();
    let mut never_well = Vec::new();
    for (title, lines) in sections(&ids) {
        let _ = write!(page, "\n{title}\n");
        for line in lines {
            let statuses = asked(&house, &people, &line).await;
            if !statuses.iter().any(|status| *status < 400) {
                never_well.push(line.name.clone());
            }
            let cells: Vec<String> = statuses.iter().map(u16::to_string).collect();
            let _ = writeln!(page, "{}  {}", cells.join(" "), line.name);
        }
    }
    let expected: Vec<&str> = NEVER_WELL.iter().map(|(name, _)| *name).collect();
    never_well.retain(|name| !expected.contains(&name.as_str()));
    assert!(never_well.is_empty(), "nobody is answered well: say in `asks` what these need\n{}", never_well.join("\n"));
    pages::fresh(PAGE, &page);
}

/// One line, asked by everybody in turn; whatever one has changed is put back before the next asks.
async fn asked(house: &House, people: &[Client], line: &Line) -> Vec<u16> {
    stage::put_back(house, line.given).await;
    let mut statuses = Vec::new();
    for person in people {
        let reply = person.send(line.ask.clone()).await;
        assert!(reply.status < 500, "{}: {} {}", line.name, reply.status, reply.text());
        // 400 is the answer of a request that was not well made, which says nothing about who may
        let may_be_400 = NEVER_WELL.iter().any(|(name, _)| *name == line.name);
        assert!(reply.status != 400 || may_be_400, "{}: {}", line.name, reply.text());
        if line.writes && reply.status < 400 {
            stage::put_back(house, line.given).await;
        }
        statuses.push(reply.status);
    }
    statuses
}

/// Whoever may list things may still not list those of others.
#[tokio::test]
async fn lists_show_nothing_of_other_projects_and_domains() {
    let house = stage::furnished().await;
    let keys = &house.cloud.keys.current();
    let person = |name: &str| PEOPLE.iter().find(|person| person.name == name).expect("a person").client(&house, keys);
    let theirs = [stage::SERVER.to_owned(), stage::IMAGE.to_owned(), id_of("blue"), id_of("member")];
    for (path, id) in [("/v2.1/servers", 0), ("/image/v2/images", 1), ("/network/v2.0/security-groups", 2)] {
        assert!(person("reader").get(path).await.is(200).text().contains(&theirs[id]), "{path}");
    }
    for (name, path) in [
        ("other reader", "/v2.1/servers"),
        ("other reader", "/v2.1/servers/detail"),
        ("other member", "/v2/servers/detail"),
        ("other member", "/v2.1/servers/detail?deleted=true&changes-since=2000-01-01T00:00:00Z"),
        ("other member", "/v2.1/servers/detail?project_id=@blue&user_id=@member"),
        ("other member", "/v2.1/images/detail"),
        ("other member", "/v2.1/limits"),
        ("other manager", "/v2.1/flavors/detail?is_public=None"),
        ("other member", "/image/v2/images?owner=@blue"),
        ("other member", "/image/v2/images?visibility=all"),
        ("other member", "/image/v2/images?visibility=shared&member_status=all"),
        ("other member", "/network/v2.0/security-groups"),
        ("other member", "/network/v2.0/security-groups?project_id=@blue"),
        ("other member", "/network/v2.0/security-group-rules?tenant_id=@blue"),
        ("other member", "/identity/v3/auth/projects"),
        ("other member", "/identity/v2.0/tenants"),
        ("stranger", "/identity/v3/auth/projects"),
        ("stranger", "/network/v2.0/security-groups"),
        ("other domain manager", "/identity/v3/users"),
        ("other domain manager", "/identity/v3/users?domain_id=default"),
        ("other domain manager", "/identity/v3/users?name=the%20member"),
        ("other domain manager", "/identity/v3/projects"),
        ("other domain manager", "/identity/v3/projects?domain_id=default&name=blue"),
        ("other domain manager", "/identity/v3/role_assignments"),
        ("other domain manager", "/identity/v3/role_assignments?user.id=@member"),
        ("other domain manager", "/identity/v3/role_assignments?scope.project.id=@blue"),
        ("other domain manager", "/identity/v3/role_assignments?scope.system=all"),
        ("other domain manager", "/identity/v3/domains"),
    ] {
        let path = path.replace("@blue", &theirs[2]).replace("@member", &theirs[3]);
        let text = person(name).get(&path).await.is(200).text();
        // a list says again which list was asked for
        let text = text.replace(path.split_once('?').map_or("?", |(_, query)| query), "");
        for id in &theirs {
            assert!(!text.contains(id.as_str()), "{name} reads of {id} at {path}: {text}");
        }
        assert!(!text.contains("\"default\"") || !path.contains("/v3/domains"), "{text}");
    }
}

/// The columns, one below the other, each over its own.
fn head() -> String {
    let mut head = String::from(
        "Who may do what: the status of every answer. Made by `UPDATE=1 cargo test --test it matrix`; a change here is a change of who may.\n\
         The server, the image, the key pair and the user that are asked about are those of `member`, in the project `blue`.\n\n",
    );
    for (index, person) in PEOPLE.iter().enumerate() {
        let _ = writeln!(head, "{}{}", "|   ".repeat(index), person.name);
    }
    head
}

fn sections(ids: &Ids) -> Vec<(String, Vec<Line>)> {
    let doors: [(&Dialect, &str); 5] = [
        (&dialect::OPENSTACK, "Compute at /v2.1"),
        (&dialect::CLOUD_SERVERS, "Compute at /v2"),
        (&dialect::IDENTITY, "Identity"),
        (&dialect::IMAGE, "Image"),
        (&dialect::NETWORK, "Network"),
    ];
    let mut sections: Vec<(String, Vec<Line>)> = doors
        .into_iter()
        .map(|(door, title)| {
            let rows = table::all().into_iter().filter(|(api, row)| *api == door.api && is_at(*row, door));
            (title.to_owned(), rows.map(|(api, row)| line(ids, door, api, row)).collect())
        })
        .collect();
    sections.push(("More of the same rows".to_owned(), MORE.iter().map(|more| line_of_more(ids, more)).collect()));
    sections
}

fn is_at(row: &dyn Operation, door: &Dialect) -> bool {
    let is_root = row.route().path.starts_with("/*root*");
    if door.is_cloud_servers { !is_root && row.versions().contain(Microversion::OLDEST) } else { true }
}

fn line(ids: &Ids, door: &Dialect, api: Api, row: &dyn Operation) -> Line {
    let (route, needs, version) = (row.route(), asks::needs(api, row), row.versions().from);
    let shown = match route.path {
        "/*root*" => "/".to_owned(),
        "/*root*/*any*" => "/elsewhere".to_owned(),
        path => format!("{}{path}", door.prefix),
    };
    let mut ask = Ask::new(route.method.as_str(), &ids.filled(&shown, needs.values));
    let mut name = format!("{} {shown}", route.method);
    if let Some(action) = route.action {
        let _ = write!(name, " {action}");
    }
    if version != Microversion::OLDEST {
        let _ = write!(name, " from {version}");
    }
    if door.has_microversions {
        ask = ask.version(&version.to_string());
    }
    match needs.body {
        Some((media_type, body)) => ask = ask.header("content-type", media_type).body(ids.replaced(body)),
        None => {
            if let Some(body) = walk::body(row, version).filter(|_| !matches!(route.method.as_str(), "GET" | "HEAD" | "DELETE")) {
                ask = ask.json(&body);
            }
        }
    }
    // only the rows about tokens look at it
    ask = ask.header("x-subject-token", &ids.subject);
    let writes = !matches!(route.method.as_str(), "GET" | "HEAD");
    Line { name, ask, writes, given: needs.given }
}

fn line_of_more(ids: &Ids, (words, method, path, needs): &(&str, &str, &str, Needs)) -> Line {
    let mut target = ids.filled(path, &[("open", stage::OPEN_IMAGE)]);
    let mut name = format!("{method} {path}");
    if !needs.query.is_empty() {
        target = format!("{target}?{}", ids.replaced(needs.query));
        let _ = write!(name, "?{}", needs.query);
    }
    let mut ask = Ask::new(method, &target).header("x-subject-token", &ids.subject);
    if let Some(version) = needs.version {
        ask = ask.version(version);
    }
    if let Some((media_type, body)) = needs.body {
        ask = ask.header("content-type", media_type).body(ids.replaced(body));
    }
    Line { name: format!("{name}: {words}"), ask, writes: !matches!(*method, "GET" | "HEAD"), given: needs.given }
}

/// What the words with `@` mean in this house.
struct Ids {
    words: BTreeMap<String, String>,
    /// A token of the member's, beside the one they ask with.
    subject: String,
}

impl Ids {
    async fn found(house: &House) -> Ids {
        let script = |tx: &mut dyn Tx| {
            tx.all("SELECT name, id FROM roles ORDER BY name", &[], |row: &dyn Row| {
                Ok::<_, StoreError>((row.text(0)?.to_owned(), row.text(1)?.parse::<RoleId>().expect("an id")))
            })
        };
        let roles = house.cloud.store.read(script).await.expect("roles can be read");
        let mut words: BTreeMap<String, String> =
            roles.into_iter().map(|(name, id)| (format!("@role:{name}"), id.to_string())).collect();
        for name in ["blue", "green", "violet", "polar", "member", "nobody"] {
            words.insert(format!("@{name}"), id_of(name));
        }
        let member = house.bearer(&people::second_token(house, "member"));
        let group = member.get("/network/v2.0/security-groups").await.is(200);
        words.insert("@group".to_owned(), group.text_at("security_groups.0.id"));
        words.insert("@rule".to_owned(), group.text_at("security_groups.0.security_group_rules.0.id"));
        Ids { words, subject: people::second_token(house, "member") }
    }

    fn replaced(&self, text: &str) -> String {
        // the longest word first: one may begin with another
        self.words.iter().rev().fold(text.to_owned(), |text, (word, id)| text.replace(word, id))
    }

    /// A path with something in the place of every name.
    #[track_caller]
    fn filled(&self, path: &str, own: &[(&str, &str)]) -> String {
        let fill = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            None => self.replaced(segment),
            Some(name) => {
                let value = own.iter().chain(VALUES).find(|(known, _)| *known == name);
                let (_, value) = value.unwrap_or_else(|| panic!("{path}: say in `asks` what stands in place of {segment}"));
                self.replaced(value)
            }
        };
        path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
}
