//! The cases of `cases.txt`, one after the other: what a real Nova answered, or, where a row of docs/compatibility.md says
//! why, what this server answers instead.

use std::collections::BTreeSet;

use crate::conformance::differences::Differences;
use crate::house::{Ask, Client, House, id_of};
use crate::stage::{self, Actor};

const SERVER: &str = "d8a0f0ca-1094-40ba-9640-cbc5942a2664";

/// One case of the file.
#[derive(Debug, Default)]
struct Case<'a> {
    number: &'a str,
    method: &'a str,
    target: &'a str,
    stage: Option<&'a str>,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<&'a str>,
    status: u16,
    expected: &'a str,
    difference: Option<&'a str>,
}

#[tokio::test]
async fn every_case_of_the_specification_is_answered_as_written() {
    let house = House::new().await;
    Actor::new(SERVER).enters(&house).await;
    let mut wrong = Vec::new();
    for case in cases() {
        let client = set(&house, case.stage.unwrap_or_default()).await;
        let mut ask = Ask::new(case.method, &filled(case.target));
        for (name, value) in &case.headers {
            ask = ask.header(name, value);
        }
        let reply = client.send(ask.body(case.body.map(bytes).unwrap_or_default())).await;
        let expected = filled(case.expected);
        let said = if case.method == "HEAD" { String::new() } else { reply.text() };
        if reply.status != case.status || (expected != "…" && said != expected) {
            let said: String = said.chars().take(300).collect();
            wrong.push(format!(
                "{} {} {}: {} {said}\n    not {} {expected}",
                case.number, case.method, case.target, reply.status, case.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_that_differs_says_why() {
    let rows = Differences::load();
    let topics: BTreeSet<&str> = rows.topics().collect();
    for case in cases() {
        if let Some(topic) = case.difference {
            assert!(topics.contains(topic), "{}: no row of docs/compatibility.md is about {topic:?}", case.number);
        }
    }
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("cases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(part) = line.strip_prefix("  ") else {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().expect("a case has a number, a method and a target");
            cases.push(Case { number: word(), method: word(), target: word(), ..Case::default() });
            continue;
        };
        let case = cases.last_mut().expect("a case begins with its number");
        match part.split_once(' ').unwrap_or((part, "")) {
            ("!", stage) => case.stage = Some(stage),
            ("<", body) => case.body = Some(body),
            ("~", topic) => case.difference = Some(topic),
            (">", answer) => {
                let (status, expected) = answer.split_once(' ').unwrap_or((answer, ""));
                (case.status, case.expected) = (status.parse().expect("a status"), expected);
            }
            (name, value) => case.headers.push((name.trim_end_matches(':'), value)),
        }
    }
    cases
}

/// Makes the stage what the words say, and gives whoever asks. No words: everything stays as it was.
async fn set(house: &House, words: &str) -> Client {
    let mut actor = Actor::new(SERVER);
    let (mut is_staged, mut who) = (false, ("member", "blue"));
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        is_staged |= name != "as";
        match name {
            "as" if value == "stranger" => who = ("member", "green"),
            "as" if value == "admin" => who = ("admin", "grey"),
            "as" => who = (word_of_role(value), "blue"),
            "items" => actor = actor.with_items(value.parse().expect("a number of items")),
            "locked" => actor.locked = true,
            "deleted" => actor.deleted = true,
            "never-launched" => actor.launched = false,
            "vm_state" => actor.vm_state = value.into(),
            "task_state" => actor.task_state = Some(value.into()),
            "quota" | "user-quota" | "class-quota" => {}
            _ => panic!("the stage does not know {word}"),
        }
    }
    if is_staged {
        actor.enters(house).await;
        stage::no_limits(house).await;
        for word in words.split(' ') {
            match word.split_once('=') {
                Some(("quota", limit)) => {
                    for project in ["blue", "grey"] {
                        stage::limit(house, project, "", "metadata_items", limit.parse().expect("a limit")).await;
                    }
                }
                Some(("user-quota", limit)) => {
                    let limit = limit.parse().expect("a limit");
                    stage::limit(house, "blue", "member-of-blue", "metadata_items", limit).await;
                }
                Some(("class-quota", limit)) => {
                    stage::default_class_limit(house, "metadata_items", limit.parse().expect("a limit")).await;
                }
                _ => {}
            }
        }
    }
    house.person(who.0, who.1).await
}

fn word_of_role(role: &str) -> &'static str {
    ["reader", "member", "manager", "admin"].into_iter().find(|known| *known == role).expect("a role")
}

fn filled(text: &str) -> String {
    let text = text.replace("{S}", SERVER).replace("{P}", &id_of("blue")).replace("{F}", &id_of("green"));
    repeated(&text.replace("{129 items}", &stage::items(129)).replace("{200 items}", &stage::items(200)))
}

/// `«k×3»` is `kkk`, `«U+1F600×2»` twice that character.
fn repeated(text: &str) -> String {
    let mut parts = text.split('«');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (macro_text, rest) = part.split_once('»').expect("« ends in »");
        let (what, times) = macro_text.split_once('×').expect("× times");
        let what = match what.strip_prefix("U+") {
            Some(code) => u32::from_str_radix(code, 16).ok().and_then(char::from_u32).expect("a character").to_string(),
            None => what.to_owned(),
        };
        whole.push_str(&what.repeat(times.parse().expect("a number")));
        whole.push_str(rest);
    }
    whole
}

/// A body: `\xNN` is a byte, everything else stands for itself.
fn bytes(text: &str) -> Vec<u8> {
    let text = filled(text);
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}
