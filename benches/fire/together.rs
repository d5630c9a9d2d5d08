//! Two processes on one database, from the first moment on: one of them makes the cloud, both serve it, by one policy.

use std::path::Path;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::http::{Client, log_in, revoke};
use super::process::Process;

/// How long something remembered may outlive a change: see `docs/operating.md`.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// After how long servers have noticed other keys: they look once a second, and twice.
const NOTICED: Duration = Duration::from_secs(3);
/// How long a policy may take to reach everybody before that is an error, on a machine that has other things to do.
const OBEYED: Duration = Duration::from_secs(10);

/// Two first starts at the same moment on an empty database, so many times; gives what was not as it must be.
pub fn first_starts(directory: &Path, rounds: u64) -> Vec<String> {
    let cluster = Cluster::start();
    let mut wrong = Vec::new();
    for round in 0..rounds {
        cluster.sql(&format!("CREATE DATABASE first{round}"));
        let url = cluster.url().replace("/kilonova", &format!("/first{round}"));
        let mut both =
            [0, 1].map(|number| Process::new(&directory.join(format!("{round}-{number}")), Some(url.clone())));
        let said = std::thread::scope(|scope| {
            let starting: Vec<_> = both.iter_mut().map(|process| scope.spawn(|| process.start())).collect();
            starting.into_iter().map(|one| one.join().expect("a start does not panic")).collect::<Vec<_>>()
        });
        for error in said.into_iter().filter_map(Result::err) {
            wrong.push(format!("one does not start: {error}"));
        }
        let [one, other] = both;
        let made = |process: &Process| process.data().join("clouds.yaml").exists();
        match (made(&one), made(&other)) {
            (true, false) => wrong.extend(serve_one_cloud(one, other)),
            (false, true) => wrong.extend(serve_one_cloud(other, one)),
            (first, second) => wrong.push(format!("who made the cloud? {first}, {second}")),
        }
    }
    wrong
}

/// The second says what it lacks; with the keys of the first the tokens of each are valid at the other, until they are revoked at either.
fn serve_one_cloud(first: Process, mut second: Process) -> Vec<String> {
    let mut wrong = Vec::new();
    let begun = Instant::now();
    let says = || second.log().contains("new token keys were made for a cloud that other processes serve");
    // the log is written beside the work
    while !says() && begun.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    if !says() {
        wrong.push(format!("the second does not say that its keys are its own: {}", second.log()));
    }
    first.share_keys(&second);
    if let Err(said) = second.start() {
        return vec![format!("the second does not start with the keys of the first: {said}")];
    }
    let token = first.token("demo");
    let mut clients = [&first, &second].map(|process| Client::new(process.address, &token));
    for (client, process) in clients.iter_mut().zip([&first, &second]) {
        let begun = Instant::now();
        let mut status = 503;
        // who is overloaded says so, and is asked again
        while status == 503 && begun.elapsed() < Duration::from_secs(10) {
            status = client.ask("GET", "/v2.1/servers", "").status();
        }
        if status != 200 {
            wrong.push(format!("a token is not valid everywhere: {status}; {}", process.log()));
        }
    }
    if revoke(second.address, &token) != Some(204) {
        wrong.push("a token cannot be revoked".into());
    }
    let [at_first, at_second] = &mut clients;
    if at_second.ask("GET", "/v2.1/servers", "").status() != 401 {
        wrong.push("a token is valid where it was revoked".into());
    }
    let begun = Instant::now();
    while at_first.ask("GET", "/v2.1/servers", "").status() != 401 {
        if begun.elapsed() > FORGOTTEN {
            wrong.push("a revoked token is valid elsewhere for longer than it may".into());
            break;
        }
    }
    wrong
}

/// A policy is published and withdrawn so many times, by the command and beside two servers, both of which must obey it soon. Gives what was
/// not as it must be, and how long after the command had ended both obeyed, sorted.
pub fn published(directory: &Path, rounds: u64) -> (Vec<String>, Vec<Duration>) {
    let cluster = Cluster::start();
    let mut first = Process::new(&directory.join("first"), Some(cluster.url()));
    first.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let mut second = first.beside(&directory.join("second"));
    second.start().unwrap_or_else(|said| panic!("another server starts: {said}"));
    let token = first.token("demo");
    let mut clients = [&first, &second].map(|process| Client::new(process.address, &token));
    let file = directory.join("policy.yaml");
    let path = file.to_str().expect("the path is in UTF-8");
    let policy = "os_compute_api:servers:detail: \"!\"\n";
    let (mut wrong, mut times) = (Vec::new(), Vec::new());
    let mut both = |wanted: u16, wrong: &mut Vec<String>| {
        let begun = Instant::now();
        for client in &mut clients {
            while client.ask("GET", "/v2.1/servers/detail", "").status() != wanted {
                if begun.elapsed() > OBEYED {
                    wrong.push(format!("not everybody answers {wanted} after {OBEYED:?}"));
                    return;
                }
            }
        }
        times.push(begun.elapsed());
    };
    both(200, &mut wrong);
    for round in 0..rounds {
        std::fs::write(&file, policy).expect("a file");
        // by whichever
        let process = if round % 2 == 0 { &second } else { &first };
        let (went_well, _, said) = process.command(&["policy", "publish", path]);
        if !went_well {
            wrong.push(format!("a sound policy is not published: {said}"));
        }
        both(403, &mut wrong);
        std::fs::write(&file, "os_compute_api:servers:detail: role:member role:reader\n").expect("a file");
        let (went_well, told, _) = process.command(&["policy", "publish", path]);
        if went_well || !told.contains("policy.yaml:1: rule \"os_compute_api:servers:detail\": ") {
            wrong.push(format!(
                "a policy that cannot be parsed is published, or nobody says what is wrong with it: {told}"
            ));
        }
        let (_, now, _) = first.command(&["policy", "published"]);
        if now != policy {
            wrong.push(format!("something else is published: {now}"));
        }
        both(403, &mut wrong);
        process.command(&["policy", "withdraw"]);
        both(200, &mut wrong);
    }
    times.sort();
    (wrong, times)
}

/// The keys are rotated on one of two servers and then copied to the other, so many times, beside both: no token of either is refused by
/// anybody at any time. Gives what was not so.
pub fn rotated(directory: &Path, rounds: u64) -> Vec<String> {
    let cluster = Cluster::start();
    let mut first = Process::new(&directory.join("first"), Some(cluster.url()));
    first.start().unwrap_or_else(|said| panic!("the server starts: {said}"));
    let mut second = first.beside(&directory.join("second"));
    second.start().unwrap_or_else(|said| panic!("another server starts: {said}"));
    let (clouds, addresses) = (first.clouds(), [first.address, second.address]);
    let mut tokens = Vec::new();
    let mut wrong = Vec::new();
    let keys_in = |process: &Process| {
        let keys = std::fs::read_dir(process.data().join("token-keys")).expect("there are keys");
        keys.flatten().filter(|key| key.file_name() != ".lock").count()
    };
    for round in 0..rounds {
        let mut everybody = |when: &str, for_long: Duration| {
            tokens.extend(addresses.iter().filter_map(|address| log_in(*address, &clouds, "demo")));
            let begun = Instant::now();
            // also while the servers notice that there are other keys
            while wrong.is_empty() {
                for (address, token) in
                    addresses.iter().flat_map(|address| tokens.iter().map(move |token| (address, token)))
                {
                    let status = Client::new(*address, token).ask("GET", "/v2.1/servers", "").status();
                    if status != 200 {
                        wrong.push(format!("round {round}, {when}: a token is answered {status}"));
                    }
                }
                if begun.elapsed() > for_long {
                    break;
                }
            }
        };
        everybody("before", Duration::ZERO);
        let (went_well, _, said) = first.command(&["keys", "rotate"]);
        assert!(went_well, "keys can be rotated: {said}");
        everybody("rotated", NOTICED);
        first.share_keys(&second);
        everybody("copied", NOTICED);
    }
    if [&first, &second].map(keys_in) != [2 + rounds as usize; 2] {
        wrong.push("there are other keys than were made".into());
    }
    if tokens.len() as u64 != 6 * rounds {
        wrong.push(format!("only {} logins of {}", tokens.len(), 6 * rounds));
    }
    wrong
}
