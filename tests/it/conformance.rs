//! The recorded answers of a real Nova 34 (`conformance/`), asked of this house. Every case matches to the byte, but for the order
//! of members where Nova's own depends on what its rows went through, or stands in `conformance/differences.toml` with its
//! reason. Statuses, the headers clients read, bodies, and what a GET shows afterwards are compared.

pub mod differences;
mod normal;
mod seed;

use std::collections::BTreeSet;

use base64::Engine;
use serde_json::{Map, Value, json};

use crate::house::{Ask, Client, Reply};
use differences::Differences;
use normal::Names;
use seed::Seeded;

/// The headers that are compared; names of both are in lower case.
const HEADERS: [&str; 10] = [
    "content-type",
    "allow",
    "retry-after",
    "vary",
    "openstack-api-version",
    "x-openstack-nova-api-version",
    "www-authenticate",
    "location",
    "deprecation",
    "warning",
];

#[tokio::test]
async fn every_recorded_case_matches_or_differs_by_choice() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("conformance/cases.json")).expect("cases are JSON");
    let recorded: Value = serde_json::from_str(include_str!("conformance/nova-34-answers.json")).expect("JSON");
    let chosen = Differences::load();
    let seeded = seed::seeded().await;
    let (mut wrong, mut seen, mut matched) = (Vec::new(), BTreeSet::new(), 0);
    for case in &cases {
        let id = text(case, "id");
        seen.insert(id);
        let theirs = Answer::recorded(&recorded["answers"][id]);
        let ours = seeded.run(case).await;
        let differs = ours.differences(&theirs);
        match (chosen.of(id), differs.is_empty()) {
            (None, true) => matched += 1,
            (Some(group), false) if group.answers(ours.status) => {}
            (Some(group), false) => wrong.push(format!("{id}: not what {:?} promises: {ours:?}", group.topic)),
            (Some(group), true) => wrong.push(format!("{id} is listed under {:?}, but matches", group.topic)),
            (None, false) => wrong.push(format!("{id} {} {}\n{}", case["method"], case["path"], differs.join("\n"))),
        }
    }
    let unknown: Vec<_> = chosen.cases().filter(|id| !seen.contains(id)).collect();
    assert!(unknown.is_empty(), "no such cases: {unknown:?}");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(matched + chosen.cases().count(), cases.len());
    eprintln!("{matched} of {} recorded cases match, {} differ by choice", cases.len(), chosen.cases().count());
}

/// What is compared of an answer, with everything that is different at every run put by name.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, Vec<String>)>,
    body: String,
    /// Status and body of what a GET showed afterwards.
    check: Option<(u16, String)>,
}

impl Answer {
    fn recorded(json: &Value) -> Answer {
        let values = |name: &&str| {
            let values = json["headers"][name].as_array()?;
            let values = values.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
            Some(((*name).to_owned(), values))
        };
        Answer {
            status: status(json),
            headers: HEADERS.iter().filter_map(values).map(one_vary).collect(),
            body: text(json, "body").to_owned(),
            check: json.get("check").map(|check| (status(check), text(check, "body").to_owned())),
        }
    }

    fn of(reply: &Reply, method: &str, names: &Names) -> Answer {
        let values = |name: &&str| {
            let values = reply.headers.get_all(*name).iter();
            let values: Vec<_> = values.map(|value| names.normal(&String::from_utf8_lossy(value.as_bytes()))).collect();
            (!values.is_empty()).then(|| ((*name).to_owned(), values))
        };
        Answer {
            status: reply.status,
            headers: HEADERS.iter().filter_map(values).map(one_vary).collect(),
            body: if method == "HEAD" { String::new() } else { names.normal(&reply.text()) },
            check: None,
        }
    }

    /// Each difference in a line: theirs | ours.
    fn differences(&self, theirs: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        if self.status != theirs.status {
            found.push(format!("    status: {} | {}", theirs.status, self.status));
        }
        if self.headers != theirs.headers {
            found.push(format!("    headers: {:?} | {:?}", theirs.headers, self.headers));
        }
        if !same_body(&theirs.body, &self.body) {
            found.push(format!("    body: {} | {}", theirs.body, self.body));
        }
        if let (Some(theirs), Some(ours)) = (&theirs.check, &self.check)
            && (theirs.0 != ours.0 || !same_body(&theirs.1, &ours.1))
        {
            found.push(format!("    check: {theirs:?} | {ours:?}"));
        }
        found
    }
}

/// To the byte, but for the order of members: Nova's own depends on what the rows went through before. Ours is tested where
/// the order is decided (`server_metadata`).
fn same_body(theirs: &str, ours: &str) -> bool {
    if theirs == ours {
        return true;
    }
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let is_as_python_writes =
        || kilonova::json::parse(ours.as_bytes()).is_ok_and(|json| kilonova::json::to_bytes(&json) == ours.as_bytes());
    parsed(theirs).is_some_and(|theirs| parsed(ours) == Some(theirs)) && is_as_python_writes()
}

/// `Vary` in one line or in several is the same thing.
fn one_vary((name, values): (String, Vec<String>)) -> (String, Vec<String>) {
    if name != "vary" {
        return (name, values);
    }
    let mut fields: Vec<String> =
        values.iter().flat_map(|value| value.split(',')).map(|field| field.trim().to_lowercase()).collect();
    fields.sort();
    (name, fields)
}

impl Seeded {
    async fn run(&self, case: &Value) -> Answer {
        self.put_back(case).await;
        let method = text(case, "method");
        let client = self.client(case.get("token").and_then(Value::as_str).unwrap_or("demo"));
        let reply = client.send(self.ask(case)).await;
        let mut answer = Answer::of(&reply, method, &self.names);
        if let Some(path) = case.get("check").and_then(Value::as_str) {
            let reply = self.client("demo").get(&self.names.fill(path)).await;
            answer.check = Some((reply.status, self.names.normal(&reply.text())));
        }
        answer
    }

    /// The request exactly as the case has it: an absent media type stays absent, raw bytes stay raw.
    fn ask(&self, case: &Value) -> Ask {
        let mut ask = Ask::new(text(case, "method"), &self.names.fill(text(case, "path")));
        let none = Map::new();
        let given = case.get("headers").and_then(Value::as_object).unwrap_or(&none);
        let is_given = |name: &str| given.keys().any(|key| key.eq_ignore_ascii_case(name));
        let body = self.body(case);
        if body.is_some() && !is_given("content-type") {
            ask = ask.header("content-type", "application/json");
        }
        if !is_given("accept") {
            ask = ask.header("accept", "application/json");
        }
        for (name, value) in given {
            if let Some(value) = value.as_str() {
                ask = ask.header(name, &self.names.fill(value));
            }
        }
        ask.body(body.unwrap_or_default())
    }

    fn body(&self, case: &Value) -> Option<Vec<u8>> {
        if let Some(body) = case.get("body") {
            let in_ascii = case.get("ascii").and_then(Value::as_bool) == Some(true);
            return Some(normal::as_python(&self.names.fill_json(body), in_ascii));
        }
        if let Some(base64) = case.get("b64").and_then(Value::as_str) {
            return Some(base64::engine::general_purpose::STANDARD.decode(base64).expect("b64 is base64"));
        }
        case.get("raw").and_then(Value::as_str).map(|raw| raw.as_bytes().to_vec())
    }

    /// Before each case the metadata of its server or image is what the case starts from.
    async fn put_back(&self, case: &Value) {
        let usual = if text(case, "path").contains("/images/") { "image" } else { "server" };
        let what = case.get("reset").and_then(Value::as_str).unwrap_or(usual);
        if what == "none" {
            return;
        }
        let items = case.get("start").cloned().unwrap_or_else(|| json!({"k1": "v1", "k2": "v2"}));
        let body = normal::as_python(&self.names.fill_json(&json!({"metadata": items})), false);
        let path = self.names.fill(&format!("/v2.1/{what}s/{{{what}_id}}/metadata"));
        let ask = Ask::new("PUT", &path).header("content-type", "application/json").body(body);
        self.client("demo").send(ask).await.is(200);
    }

    fn client(&self, who: &str) -> Client {
        match who {
            "none" => self.house.nobody(),
            "bad" => self.house.bearer("not-a-token"),
            known => self.people.get(known).unwrap_or_else(|| panic!("nobody is called {known}")).clone(),
        }
    }
}

fn text<'a>(json: &'a Value, member: &str) -> &'a str {
    json[member].as_str().unwrap_or_else(|| panic!("no {member} in {json}"))
}

fn status(json: &Value) -> u16 {
    json["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status")
}
