//! Who may do what: the rules of server metadata, policy files in all their forms, and rules that ask another server.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex};

use kilonova::identity::token::Scope;

use crate::house::{Client, House, Reply, id_of};
use crate::server_metadata::{SERVER, server};

const RULES: [&str; 6] = ["index", "show", "create", "update_all", "update", "delete"];

fn path(tail: &str) -> String {
    format!("/v2.1/servers/{SERVER}/metadata{tail}")
}

/// The six operations in the order of `RULES`, by bodies that change nothing.
async fn ask(client: &Client, operation: &str) -> Reply {
    match operation {
        "index" => client.get(&path("")).await,
        "show" => client.get(&path("/a")).await,
        "create" => client.post(&path(""), r#"{"metadata": {"a": "1"}}"#).await,
        "update_all" => client.put(&path(""), r#"{"metadata": {"a": "1"}}"#).await,
        "update" => client.put(&path("/a"), r#"{"meta": {"a": "1"}}"#).await,
        _ => client.delete(&path("/nope")).await,
    }
}

fn refusal(operation: &str) -> String {
    format!("Policy doesn't allow os_compute_api:server-metadata:{operation} to be performed.")
}

fn write(house: &House, file: &str, content: &str) {
    let path = house.directory().join(file);
    std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
    std::fs::write(path, content).expect("a written file");
}

/// What the clock of `serve` does once a second.
fn reload(house: &House) {
    house.cloud.live_rules().reload_if_changed().expect("good policy files");
}

async fn house_with(policy: &str) -> House {
    let house = House::new().await;
    server(&house).await;
    write(&house, "policy.yaml", policy);
    reload(&house);
    house
}

#[tokio::test]
async fn each_role_may_what_its_rules_say() {
    let house = house_with("").await;
    for (role, allowed) in
        [("reader", &["index", "show"][..]), ("member", &RULES), ("manager", &RULES), ("other", &[]), ("admin", &RULES)]
    {
        let client = house.person(role, "blue").await;
        for operation in RULES {
            let reply = ask(&client, operation).await;
            if allowed.contains(&operation) {
                assert_ne!(reply.status, 403, "{role} {operation}: {}", reply.text());
            } else {
                reply.refuses(403, &refusal(operation));
            }
        }
    }
}

#[tokio::test]
async fn an_administrator_of_another_project_may_and_a_member_gets_404() {
    let house = house_with("").await;
    house.person("admin", "green").await.get(&path("")).await.is(200);
    let stranger = house.person("member", "green").await;
    for operation in RULES {
        ask(&stranger, operation).await.refuses(404, &format!("Instance {SERVER} could not be found."));
    }
}

#[tokio::test]
async fn role_names_are_compared_without_case_and_do_not_imply_each_other_in_rules() {
    let house = house_with("").await;
    let shouting = house.person("MEMBER", "blue").await;
    ask(&shouting, "create").await.is(200);
    ask(&shouting, "index").await.refuses(403, &refusal("index"));
}

#[tokio::test]
async fn a_token_of_the_system_does_not_pass_a_rule_for_projects() {
    let house = house_with("").await;
    let admin = house.person("admin", "blue").await;
    let project_reply = ask(&admin, "index").await;
    let user = id_of("admin-of-blue");
    let script = move |tx: &mut dyn kilonova::store::Tx| {
        let role = tx.first("SELECT id FROM roles WHERE name = $1", &["admin".into()], |row| {
            Ok(row.text(0)?.parse::<kilonova::model::ids::RoleId>().expect("a role has an id"))
        })?;
        let user = user.parse().expect("an id");
        kilonova::store::identity_admin::insert_grant(tx, &user, "system", "all", &role.expect("there is admin"))
    };
    house.cloud.store.write(script).await.expect("a grant");
    house.cloud.callers.forget();
    project_reply.is(200);
    let of_system = house.bearer(&house.token(&id_of("admin-of-blue"), Scope::System));
    for operation in RULES {
        ask(&of_system, operation).await.refuses(403, &refusal(operation));
    }
}

#[tokio::test]
async fn nobody_passes_an_exclamation_mark() {
    let lines = RULES.map(|rule| format!("os_compute_api:server-metadata:{rule}: \"!\"\n"));
    let house = house_with(&lines.concat()).await;
    let admin = house.person("admin", "blue").await;
    for operation in RULES {
        ask(&admin, operation).await.refuses(403, &refusal(operation));
    }
}

#[tokio::test]
async fn a_policy_file_in_yaml_overrides_a_default() {
    let house = house_with("os_compute_api:server-metadata:create: role:other\n").await;
    ask(&house.person("other", "blue").await, "create").await.is(200);
    ask(&house.person("member", "blue").await, "create").await.refuses(403, &refusal("create"));
}

#[tokio::test]
async fn is_admin_1_in_a_policy_file_lets_in_administrators_only() {
    for (check, admin, member) in [("is_admin:1", 200, 403), ("is_admin:0", 403, 200)] {
        let house = house_with(&format!("os_compute_api:server-metadata:index: {check}\n")).await;
        ask(&house.person("admin", "blue").await, "index").await.is(admin);
        ask(&house.person("member", "blue").await, "index").await.is(member);
    }
}

#[tokio::test]
async fn a_policy_file_in_json_counts_where_there_is_none_in_yaml() {
    let house = House::new().await;
    server(&house).await;
    let other = house.person("other", "blue").await;
    write(&house, "policy.json", r#"{"os_compute_api:server-metadata:index": "role:other"}"#);
    reload(&house);
    ask(&other, "index").await.is(200);
    write(&house, "policy.yaml", "{}");
    reload(&house);
    ask(&other, "index").await.refuses(403, &refusal("index"));
}

#[tokio::test]
async fn the_old_form_of_lists_of_lists_is_read() {
    let rule = r#""os_compute_api:server-metadata:index": [["role:other", "project_id:%(project_id)s"], "role:third"]"#;
    let house = house_with(rule).await;
    ask(&house.person("other", "blue").await, "index").await.is(200);
    ask(&house.person("third", "blue").await, "index").await.is(200);
    ask(&house.person("member", "blue").await, "index").await.refuses(403, &refusal("index"));
}

#[tokio::test]
async fn files_of_the_directory_count_over_the_policy_file_in_the_order_of_their_names() {
    let house = house_with("os_compute_api:server-metadata:index: \"!\"\n").await;
    let reader = house.person("reader", "blue").await;
    write(&house, "policy.d/20.yaml", "os_compute_api:server-metadata:index: role:reader\n");
    write(&house, "policy.d/10.yaml", "os_compute_api:server-metadata:index: role:other\n");
    reload(&house);
    ask(&reader, "index").await.is(200);
    write(&house, "policy.d/30.json", r#"{"os_compute_api:server-metadata:index": "!"}"#);
    reload(&house);
    ask(&reader, "index").await.refuses(403, &refusal("index"));
}

#[tokio::test]
async fn policy_files_are_read_at_the_start_too() {
    let house = House::new().await;
    server(&house).await;
    write(&house, "policy.d/a.yaml", "os_compute_api:server-metadata:index: \"!\"\n");
    let house = house.restarted().await;
    ask(&house.person("member", "blue").await, "index").await.refuses(403, &refusal("index"));
}

#[tokio::test]
async fn the_old_defaults_let_every_role_of_the_project_while_new_ones_are_not_enforced() {
    let house = House::with(|settings| settings.enforce_new_defaults = false).await;
    server(&house).await;
    let other = house.person("other", "blue").await;
    for operation in RULES {
        assert_ne!(ask(&other, operation).await.status, 403, "{operation}");
    }
    ask(&house.person("other", "green").await, "index").await.is(404);
}

#[tokio::test]
async fn a_circle_of_rules_and_a_rule_that_cannot_be_parsed_deny() {
    let house = house_with(
        "os_compute_api:server-metadata:index: rule:one\none: rule:two\ntwo: rule:one\n\
         os_compute_api:server-metadata:show: role:member role:reader\n\
         os_compute_api:server-metadata:create: rule:nobody-wrote-this\n",
    )
    .await;
    let member = house.person("member", "blue").await;
    for operation in ["index", "show", "create"] {
        ask(&member, operation).await.refuses(403, &refusal(operation));
    }
}

#[tokio::test]
async fn an_unknown_rule_takes_the_default_rule_where_there_is_one() {
    let house = house_with("default: role:other\nos_compute_api:server-metadata:index: rule:nobody-wrote-this\n").await;
    ask(&house.person("other", "blue").await, "index").await.is(200);
}

#[tokio::test]
async fn who_is_an_administrator_is_a_rule_too() {
    let house = house_with("context_is_admin: role:boss\n").await;
    ask(&house.person("boss", "green").await, "index").await.is(200);
    ask(&house.person("admin", "green").await, "index").await.is(404);
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_rules_in_force() {
    let house = house_with("os_compute_api:server-metadata:index: role:other\n").await;
    write(&house, "policy.yaml", "os_compute_api:server-metadata:index: [role:member\n");
    assert!(house.cloud.live_rules().reload_if_changed().is_err());
    ask(&house.person("other", "blue").await, "index").await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_the_rules_change() {
    let house = house_with("").await;
    let reader = house.person("reader", "blue").await;
    let asking = |client: Client| async move {
        let mut statuses = Vec::new();
        for _ in 0..200 {
            statuses.push(ask(&client, "index").await.status);
        }
        statuses
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(asking(reader.clone()))).collect();
    for turn in 0..50 {
        let check = if turn % 2 == 0 { "\"!\"" } else { "role:reader" };
        write(&house, "policy.new", &format!("os_compute_api:server-metadata:index: {check} # {turn}\n"));
        std::fs::rename(house.directory().join("policy.new"), house.directory().join("policy.yaml")).expect("a rename");
        reload(&house);
        tokio::task::yield_now().await;
    }
    for task in tasks {
        let statuses = task.await.expect("no request panics");
        assert_eq!(statuses.len(), 200);
        assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
    }
    // the last turn allowed
    ask(&reader, "index").await.is(200);
}

/// A server that rules ask: gives these answers in turn, the last one for ever, and keeps what it was asked.
struct Oracle {
    address: SocketAddr,
    questions: Arc<Mutex<Vec<(String, String)>>>,
}

impl Oracle {
    fn new(answers: &[Option<&str>]) -> Oracle {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let questions = Arc::new(Mutex::new(Vec::new()));
        let noted = questions.clone();
        let mut answers: VecDeque<Option<String>> = answers.iter().map(|answer| answer.map(str::to_owned)).collect();
        // ends with the process: nobody asks any more
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a connection"));
                let question = question(&mut stream);
                noted.lock().expect("no panic").push(question);
                let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                match answer.expect("there is an answer") {
                    Some(text) => {
                        let head =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
                        let _ = stream.get_mut().write_all((head + &text).as_bytes());
                    }
                    None => silent.push(stream),
                }
            }
        });
        Oracle { address, questions }
    }

    fn rule(&self) -> String {
        format!("os_compute_api:server-metadata:index: http://{}/may/%(project_id)s\n", self.address)
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.questions.lock().expect("no panic").clone()
    }
}

/// Head and body of a request.
fn question(stream: &mut BufReader<std::net::TcpStream>) -> (String, String) {
    let mut head = String::new();
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
        head.push_str(&line);
        line.clear();
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).expect("a whole body");
    (head, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn a_rule_that_asks_another_server_follows_its_answer() {
    for (answer, status) in
        [("True", 200), ("\"True\"", 200), ("False", 403), ("true", 403), ("True\n", 403), ("", 403)]
    {
        let oracle = Oracle::new(&[Some(answer)]);
        let house = house_with(&oracle.rule()).await;
        let reply = ask(&house.person("other", "blue").await, "index").await;
        assert_eq!(reply.status, status, "{answer:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn the_other_server_is_told_rule_target_and_credentials_in_a_form() {
    let oracle = Oracle::new(&[Some("True")]);
    let house = house_with(&oracle.rule()).await;
    ask(&house.person("other", "blue").await, "index").await.is(200);
    let (head, body) = oracle.asked().remove(0);
    assert!(head.starts_with(&format!("POST /may/{} HTTP/1.1", id_of("blue"))), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/x-www-form-urlencoded"), "{head}");
    assert!(body.starts_with("rule=%22os_compute_api%3Aserver-metadata%3Aindex%22&target=%7B"), "{body}");
    assert!(body.contains("&credentials=%7B") && body.contains(&id_of("other-of-blue")), "{body}");
}

#[tokio::test]
async fn the_other_server_is_told_the_same_in_json_where_the_settings_say_so() {
    let house = House::with(|settings| settings.policy_remote.content_type = "application/json".to_owned()).await;
    server(&house).await;
    let oracle = Oracle::new(&[Some("True")]);
    write(&house, "policy.yaml", &oracle.rule());
    reload(&house);
    ask(&house.person("other", "blue").await, "index").await.is(200);
    let (head, body) = oracle.asked().remove(0);
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    let json = kilonova::json::parse(body.as_bytes()).expect("JSON");
    assert_eq!(json.get("rule").and_then(|rule| rule.as_str()), Some("os_compute_api:server-metadata:index"));
    let project = json.get("target").and_then(|target| target.get("project_id")).and_then(|id| id.as_str());
    assert_eq!(project, Some(id_of("blue").as_str()));
}

#[tokio::test]
async fn an_answer_counts_for_one_request_only() {
    let oracle = Oracle::new(&[Some("True"), Some("False")]);
    let house = house_with(&oracle.rule()).await;
    let other = house.person("other", "blue").await;
    ask(&other, "index").await.is(200);
    ask(&other, "index").await.refuses(403, &refusal("index"));
}

#[tokio::test]
async fn a_server_that_is_not_there_makes_the_request_fail_and_not_pass() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("a bound port");
    let house = house_with(&format!("os_compute_api:server-metadata:index: not http://{gone}/\n")).await;
    ask(&house.person("member", "blue").await, "index").await.is(500);
}

#[tokio::test]
async fn a_server_that_keeps_silent_makes_the_request_fail() {
    let house = House::with(|settings| settings.policy_remote.timeout_seconds = 1).await;
    server(&house).await;
    let oracle = Oracle::new(&[None]);
    write(&house, "policy.yaml", &oracle.rule());
    reload(&house);
    ask(&house.person("member", "blue").await, "index").await.is(500);
}

fn kilonova(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kilonova")).args(arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

#[test]
fn the_sample_is_sound_on_the_command_line() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().to_str().expect("a name in UTF-8");
    let (code, sample, _) = kilonova(&["policy", "sample"]);
    assert_eq!(code, 0);
    assert!(sample.contains("# PUT  /v2.1/servers/{server_id}/metadata/{key}\n"), "{sample}");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, sample.replace("\n#\"", "\n\"")).expect("a written file");
    let (code, out, _) = kilonova(&["policy", "check", "--data-dir", data]);
    assert_eq!((code, out.as_str()), (0, "The policy is sound.\n"));
}

#[test]
fn the_check_names_file_and_line_and_fails() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("mine.yaml");
    std::fs::write(&file, "\nos_compute_api:server-metadata:indx: role:x\n").expect("a written file");
    let path = file.to_str().expect("a name in UTF-8");
    let (code, out, _) = kilonova(&["policy", "check", path, "--data-dir", "/nowhere"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.starts_with(&format!("{path}:2: rule \"os_compute_api:server-metadata:indx\": ")), "{out}");
}

#[test]
fn the_explanation_says_why_on_the_command_line() {
    let ask = |role| {
        kilonova(&["policy", "explain", "PUT /servers/ID/metadata/KEY", "--role", role, "--data-dir", "/nowhere"])
    };
    let (code, out, _) = ask("reader");
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("role:member: false"), "{out}");
    assert!(out.starts_with("policy: the defaults (there is no database yet)\n"), "{out}");
    assert_eq!(ask("member").0, 0);
}

#[test]
fn a_file_that_is_not_there_is_not_explained_as_if_it_were_empty() {
    let asked = ["policy", "explain", "context_is_admin", "--file", "/nowhere/policy.yaml", "--data-dir", "/nowhere"];
    let (code, out, error) = kilonova(&asked);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("there is no file /nowhere/policy.yaml"), "{error}");
}
