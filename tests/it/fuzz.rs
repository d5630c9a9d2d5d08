//! Requests that nobody planned for. Each begins as a valid request of some row of the table, so that it gets deep, and is then bent:
//! in its path, query, headers, token, and anywhere in its body. Whatever comes: no panic, no 500, no status that the row
//! does not declare (`handle` checks this), and every fault of Compute is a JSON document of its one form.
//!
//! `KILONOVA_FUZZ_SECONDS=600 cargo test --test it fuzz` runs longer, `KILONOVA_FUZZ_SEED` repeats a run: the seed of every run
//! is printed by a test that fails.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use kilonova::api::dialect::Api;
use kilonova::api::endpoint::Operation;
use kilonova::api::table;
use kilonova::json::{self, Json, Object};

use crate::house::{Ask, Client, House, Reply};
use crate::table as walk;

/// How many requests there are where no time is given.
const REQUESTS: usize = 4_000;
/// After so many requests the house is a fresh one: what they made must not make the others slow.
const REQUESTS_PER_HOUSE: usize = 2_000;

#[tokio::test]
async fn no_request_panics_or_is_answered_500() {
    let seed = number_from("KILONOVA_FUZZ_SEED").unwrap_or_else(fresh_seed);
    let until = number_from("KILONOVA_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut chance = Chance(seed);
    let mut sent = 0;
    while until.map_or(sent < REQUESTS, |until| Instant::now() < until) {
        let house = walk::furnished().await;
        let people = people(&house).await;
        for _ in 0..REQUESTS_PER_HOUSE {
            let client = &people[chance.below(people.len())];
            let (api, ask) = bent(&mut chance);
            let answered = AssertUnwindSafe(client.send(ask.clone())).catch_unwind().await;
            let wrong = match &answered {
                Ok(reply) => wrong_with(api, reply),
                Err(_) => Some("it panicked".to_owned()),
            };
            assert!(
                wrong.is_none(),
                "KILONOVA_FUZZ_SEED={seed}, request {sent}: {}\n{ask:?}",
                wrong.unwrap_or_default()
            );
            sent += 1;
        }
    }
    println!("{sent} requests, KILONOVA_FUZZ_SEED={seed}");
}

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn fresh_seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

async fn people(house: &House) -> Vec<Client> {
    let mut people = vec![house.nobody(), house.bearer("not-a-token")];
    for (role, project) in
        [("member", "blue"), ("member", "blue"), ("admin", "grey"), ("admin", "blue"), ("reader", "blue")]
    {
        people.push(house.person(role, project).await);
    }
    people
}

/// What is wrong with an answer, if anything.
fn wrong_with(api: Api, reply: &Reply) -> Option<String> {
    if reply.status >= 500 && reply.status != 501 {
        return Some(format!("{} {}", reply.status, reply.text()));
    }
    if api != Api::Compute || reply.status < 400 || reply.body.is_empty() || reply.status == 401 {
        return None;
    }
    let fault = json::parse(&reply.body).ok();
    let fault = fault.as_ref().and_then(Json::as_object).and_then(|object| object.iter().next());
    let code = fault.and_then(|(_, inside)| inside.get("code")).and_then(Json::as_i64);
    let has_message = fault.is_some_and(|(_, inside)| inside.get("message").and_then(Json::as_str).is_some());
    let is_well = code == Some(reply.status.into()) && has_message;
    (!is_well).then(|| format!("{} is not a fault of Compute: {}", reply.status, reply.text()))
}

/// A valid request, bent in up to three places.
fn bent(chance: &mut Chance) -> (Api, Ask) {
    let rows = table::all();
    let (api, row) = rows[chance.below(rows.len())];
    let mut path = format!("{}{}", prefix(chance, api), walk::about(row.route().path));
    let mut method = row.route().method.to_string();
    let (media_type, mut body) = match walk::of_image(api, row) {
        Some((media_type, body)) => (media_type, body.as_bytes().to_vec()),
        None => ("application/json", valid_body(row)),
    };
    let mut headers = vec![("content-type", media_type.to_owned())];
    if api == Api::Compute {
        headers.push(("openstack-api-version", format!("compute {}", version(chance, row))));
    }
    for _ in 0..chance.below(4) {
        match chance.below(10) {
            0 => path = bent_path(chance, &path),
            1 => path = format!("{path}?{}", query(chance)),
            2 => method = chance.pick(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "FROB"]).to_owned(),
            3 => headers.push(header(chance)),
            4 => body = bent_bytes(chance, body),
            _ => body = json::parse(&body).map_or(body, |json| json::to_bytes(&bent_json(chance, json))),
        }
    }
    let mut ask = Ask::new(&method, &path);
    for (name, value) in headers {
        ask = ask.header(name, &value);
    }
    (api, ask.body(body))
}

fn prefix(chance: &mut Chance, api: Api) -> &'static str {
    if api == Api::Compute && chance.below(4) == 0 { "/v2" } else { walk::door(api).prefix }
}

fn valid_body(row: &dyn Operation) -> Vec<u8> {
    walk::body(row, row.versions().from).unwrap_or_default().into_bytes()
}

fn version(chance: &mut Chance, row: &dyn Operation) -> String {
    match chance.below(6) {
        0 => "latest".into(),
        1 => format!("2.{}", chance.below(110)),
        _ => row.versions().from.to_string(),
    }
}

fn bent_path(chance: &mut Chance, path: &str) -> String {
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    let at = chance.below(segments.len());
    let odd = chance
        .pick(&["", "%", "%00", "%2F", "%FF%FE", "%C3%A9", "..", "a b", "null", "-1", "detail", "x?y", "{}", "'--"]);
    match chance.below(3) {
        0 => segments[at] = odd.to_owned(),
        1 => segments.insert(at, odd.to_owned()),
        _ => segments[at] = segments[at].repeat(40),
    }
    format!("/{}", segments.join("/").trim_start_matches('/'))
}

fn query(chance: &mut Chance) -> String {
    let name = chance.pick(&[
        "limit",
        "marker",
        "sort_key",
        "sort_dir",
        "name",
        "status",
        "changes-since",
        "all_tenants",
        "reverse",
        "user_id",
        "is_public",
        "deleted",
        "metadata",
        "x",
        "%FF",
        "",
        "minDisk",
        "visibility",
        "member_status",
        "created_at",
        "size_min",
    ]);
    let value = chance.pick(&[
        "",
        "1",
        "0",
        "-1",
        "99999999999999999999",
        "x",
        "%FF",
        "%00",
        "a,b",
        "asc",
        "true",
        "None",
        "2026-01-01T00:00:00Z",
        "^(",
        "[",
        "gt:1",
        "in:\"a\",b",
        "6f9c6b2e-0000-4000-8000-000000000001",
        "%7B%22a%22:%20%221%22%7D",
    ]);
    if chance.below(3) == 0 { format!("{name}={value}&{}", query(chance)) } else { format!("{name}={value}") }
}

fn header(chance: &mut Chance) -> (&'static str, String) {
    let name = chance.pick(&[
        "accept",
        "content-type",
        "openstack-api-version",
        "x-openstack-nova-api-version",
        "host",
        "x-subject-token",
        "x-auth-token",
        "range",
        "x-forwarded-proto",
        "if-match",
    ]);
    let value = chance.pick(&[
        "",
        "*/*",
        "text/html",
        "application/xml",
        "application/json; charset=latin-1",
        "multipart/form-data",
        "compute 2.999",
        "compute x",
        "compute latest",
        "2.1",
        "é",
        ",,,;;q=",
        "bytes=0-",
        "gAAAAA",
        "application/octet-stream",
        "application/openstack-images-v2.1-json-patch",
    ]);
    (name, value.to_owned())
}

fn bent_bytes(chance: &mut Chance, mut body: Vec<u8>) -> Vec<u8> {
    let at = chance.below(body.len() + 1);
    match chance.below(5) {
        0 => body.truncate(at),
        1 => body.insert(at, chance.below(256) as u8),
        2 => body.splice(at..at, b"\\ud800".iter().copied()).for_each(drop),
        3 => {
            body = chance
                .pick(&["", " ", "null", "[]", "{}", "0", "\"\"", "{\"a\": 1e999}", "[[[[[[[[[[]]]]]]]]]]"])
                .into()
        }
        _ if body.is_empty() => {}
        _ => {
            let at = at.min(body.len() - 1);
            body[at] ^= 1 << chance.below(8);
        }
    }
    body
}

/// The same document with something else in one place.
fn bent_json(chance: &mut Chance, json: Json) -> Json {
    if let Some(object) = json.as_object().filter(|object| !object.is_empty() && chance.below(4) > 0) {
        let at = chance.below(object.len());
        let bend = chance.below(6);
        let mut after = Object::new();
        for (index, (name, value)) in object.iter().enumerate() {
            match (index == at, bend) {
                (true, 0) => {}
                (true, 1) => after.insert(odd_text(chance), value.clone()).map_or((), drop),
                (true, _) => after.insert(name, bent_json(chance, value.clone())).map_or((), drop),
                (false, _) => after.insert(name, value.clone()).map_or((), drop),
            }
        }
        if bend == 2 {
            after.insert(odd_text(chance), odd(chance));
        }
        return after.into();
    }
    if let Some(items) = json.as_array().filter(|items| !items.is_empty() && chance.below(4) > 0) {
        let at = chance.below(items.len());
        let bend =
            |(index, item): (usize, &Json)| if index == at { bent_json(chance, item.clone()) } else { item.clone() };
        return items.iter().enumerate().map(bend).collect();
    }
    odd(chance)
}

fn odd(chance: &mut Chance) -> Json {
    match chance.below(12) {
        0 => Json::Null,
        1 => true.into(),
        2 => 0.into(),
        3 => (-1).into(),
        4 => i64::MAX.into(),
        5 => Object::new().into(),
        6 => Vec::<Json>::new().into_iter().collect(),
        7 => json::parse(b"1e308").unwrap_or(Json::Null),
        8 => json::parse(b"123456789012345678901234567890").unwrap_or(Json::Null),
        9 => vec![odd_text(chance)].into_iter().map(Json::from).collect(),
        _ => odd_text(chance).into(),
    }
}

fn odd_text(chance: &mut Chance) -> String {
    let text = chance.pick(&[
        "",
        " ",
        "a",
        "a/b",
        "é",
        "😀",
        "\0",
        "\n",
        "'",
        "\"",
        "%s",
        "$1",
        "None",
        "null",
        "{}",
        "AUTO",
        "default",
        "latest",
        "2.1",
        "6f9c6b2e-0000-4000-8000-000000000001",
        "6f9c6b2e-0000-4000-8000-000000000002",
        "2026-13-01",
        "::1",
        "127.0.0.1",
        "bm90",
        "*",
    ]);
    if chance.below(8) == 0 { text.repeat(300) } else { text.to_owned() }
}

/// Chance that can be repeated (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("a number below a usize is one")
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }
}
