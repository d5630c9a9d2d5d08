//! Clients that change the metadata of servers and images in every way there is, and know what must be there afterwards.
//!
//! Many share a server or an image, each with keys of its own; each has one of its own as well, which it replaces as a whole. A change
//! that was answered has happened; one that was refused has not; one without an answer has happened entirely or not at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kilonova::json::Json;

use super::http::{Client, Said};

type Items = BTreeMap<String, String>;

/// Items of one client in what it shares with others; fewer than a server may have by far.
const SHARED_ITEMS: usize = 10;

/// What a client does next.
#[derive(Debug, Clone)]
enum Change {
    /// POST: these are added or replaced.
    Merge(Items),
    /// PUT of one item.
    Put(String, String),
    /// DELETE of one item.
    Delete(String),
    /// PUT of all.
    Replace(Items),
}

impl Change {
    fn to(&self, items: &Items) -> Items {
        let mut items = items.clone();
        match self {
            Change::Merge(more) => items.extend(more.clone()),
            Change::Put(key, value) => _ = items.insert(key.clone(), value.clone()),
            Change::Delete(key) => _ = items.remove(key),
            Change::Replace(all) => items = all.clone(),
        }
        items
    }

    fn ask(&self, client: &mut Client, path: &str) -> Said {
        match self {
            Change::Merge(items) => client.ask("POST", path, &document(items)),
            Change::Replace(items) => client.ask("PUT", path, &document(items)),
            Change::Put(key, value) => {
                client.ask("PUT", &format!("{path}/{key}"), &format!(r#"{{"meta": {{"{key}": "{value}"}}}}"#))
            }
            Change::Delete(key) => client.ask("DELETE", &format!("{path}/{key}"), ""),
        }
    }
}

fn document(items: &Items) -> String {
    let items: Vec<String> = items.iter().map(|(key, value)| format!(r#""{key}": "{value}""#)).collect();
    format!(r#"{{"metadata": {{{}}}}}"#, items.join(", "))
}

/// What a client knows of a place: one of these is what is there.
#[derive(Debug, Clone)]
struct Known {
    path: String,
    /// Whose keys count; empty where all do.
    prefix: String,
    possible: Vec<Items>,
}

/// Everything that was promised to one client.
#[derive(Debug, Clone)]
pub struct Promises {
    number: u64,
    shared: Known,
    own: Known,
    drawn: u64,
    made: u64,
}

/// How many of what.
#[derive(Debug, Default)]
pub struct Counts {
    /// Changes that were answered with success.
    pub kept: AtomicU64,
    /// Changes that were refused: conflict, or no service at the moment.
    pub refused: AtomicU64,
    /// Changes without an answer.
    pub unknown: AtomicU64,
    /// Answers that nobody should get, and what is not there although it must be.
    pub wrong: AtomicU64,
    /// Requests that nobody answered in time.
    pub hangs: AtomicU64,
}

impl Counts {
    fn add(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes, with the reason, what must not be.
    pub fn wrong(&self, why: &str) {
        eprintln!("WRONG: {why}");
        self.add(&self.wrong);
    }

    /// Notes what nobody answered in time.
    fn hang(&self, what: &str) {
        eprintln!("NOT ANSWERED: {what}");
        self.add(&self.hangs);
    }

    /// A counter's value.
    pub fn of(&self, counter: &AtomicU64) -> u64 {
        counter.load(Ordering::SeqCst)
    }
}

impl Promises {
    /// Of a client that shares one path and owns another.
    pub fn new(number: u64, shared: &str, own: &str) -> Promises {
        let known = |path: &str, prefix: String| Known { path: path.to_owned(), prefix, possible: vec![Items::new()] };
        Promises {
            number,
            shared: known(shared, format!("c{number}-")),
            own: known(own, String::new()),
            drawn: 0,
            made: 0,
        }
    }

    /// Changes one thing; false where it is not known what came of it, or nobody answers.
    pub fn change(&mut self, client: &mut Client, counts: &Counts) -> bool {
        let (change, is_own) = self.next();
        let known = if is_own { &mut self.own } else { &mut self.shared };
        let (asked, asks) = (client.address(), Instant::now());
        let said = change.ask(client, &known.path);
        let after: Vec<Items> = known.possible.iter().map(|items| change.to(items)).collect();
        match said {
            Said::Answer(200 | 204, ..) => {
                counts.add(&counts.kept);
                known.possible = after;
                return true;
            }
            // nothing was changed, and we are told so
            Said::Answer(409, ..) => {
                counts.add(&counts.refused);
                return true;
            }
            Said::Answer(503, says_when, _) => {
                counts.add(&counts.refused);
                if !says_when {
                    counts.wrong("503 without Retry-After");
                }
            }
            Said::Answer(404, ..) if known.possible.len() > 1 => return true,
            Said::Answer(status, _, body) => {
                counts.wrong(&format!("{change:?} on {}: {status} {}", known.path, String::from_utf8_lossy(&body)));
                return true;
            }
            Said::Nothing => counts.add(&counts.unknown),
            Said::Hang => {
                counts.add(&counts.unknown);
                counts.hang(&format!(
                    "{change:?} on {} at {asked}, for {:.1} s",
                    known.path,
                    asks.elapsed().as_secs_f64()
                ));
            }
        }
        known.possible.extend(after);
        known.possible.dedup();
        false
    }

    fn next(&mut self) -> (Change, bool) {
        let (one, many) = (self.random() % 100, self.random() as usize);
        let mine = &self.shared.possible[0];
        let (count, some_key) = (mine.len(), mine.keys().nth(many % mine.len().max(1)).cloned());
        match some_key {
            _ if one < 15 => (Change::Replace(self.fresh(4)), true),
            Some(key) if count >= SHARED_ITEMS || one < 35 => (Change::Delete(key), false),
            Some(key) if one < 45 => (Change::Put(key, format!("v{}", self.made)), false),
            _ if one < 75 => (Change::Merge(self.fresh(1 + many % 3)), false),
            _ => {
                let (key, value) = self.fresh(1).pop_first().expect("one was made");
                (Change::Put(key, value), false)
            }
        }
    }

    /// Items under keys that nobody has used before.
    fn fresh(&mut self, count: usize) -> Items {
        let number = self.number;
        let mut one = || {
            self.made += 1;
            (format!("c{number}-{}", self.made), format!("v{}", self.made))
        };
        (0..count).map(|_| one()).collect()
    }

    fn random(&mut self) -> u64 {
        self.drawn += 1;
        let mut z = (self.number << 40 | self.drawn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 31)) >> 7
    }

    /// Compares what is there with what was promised. From then on, only what is there is possible.
    pub fn check(&mut self, client: &mut Client, counts: &Counts) {
        for known in [&mut self.shared, &mut self.own] {
            let said = client.ask("GET", &known.path, "");
            let Some(there) = said.json().as_ref().and_then(|json| items_of(json, &known.prefix)) else {
                counts.wrong(&format!("GET {}: {said:?}", known.path));
                continue;
            };
            if !known.possible.contains(&there) {
                counts.wrong(&format!("{}: {there:?} is none of {:?}", known.path, known.possible));
            }
            known.possible = vec![there];
        }
    }
}

fn items_of(json: &Json, prefix: &str) -> Option<Items> {
    let items = json.get("metadata")?.as_object()?;
    let mine = items.iter().filter(|(key, _)| key.starts_with(prefix));
    mine.map(|(key, value)| Some((key.to_string(), value.as_str()?.to_owned()))).collect()
}

/// When a storm is over.
pub struct Until {
    /// When so many changes were kept.
    pub kept: u64,
    /// Or when somebody says so.
    pub over: Arc<AtomicBool>,
    /// Whether a client that did not hear what came of a change goes on.
    pub goes_on: bool,
}

/// All clients at once, each on a thread with a connection; `addresses` are shared out among them.
pub fn storm(
    promises: Vec<Promises>,
    addresses: &[SocketAddr],
    token: &str,
    counts: &Arc<Counts>,
    until: &Arc<Until>,
) -> Vec<std::thread::JoinHandle<Promises>> {
    let client = |number: usize| Client::new(addresses[number % addresses.len()], token);
    storm_of(promises, client, counts, until)
}

/// As `storm`, with whatever clients they are.
pub fn storm_of(
    promises: Vec<Promises>,
    client: impl Fn(usize) -> Client,
    counts: &Arc<Counts>,
    until: &Arc<Until>,
) -> Vec<std::thread::JoinHandle<Promises>> {
    let one = |mut promises: Promises| {
        let (mut client, counts, until) = (client(promises.number as usize), counts.clone(), until.clone());
        std::thread::spawn(move || {
            while !until.over.load(Ordering::SeqCst) && counts.of(&counts.kept) < until.kept {
                if !promises.change(&mut client, &counts) {
                    if !until.goes_on {
                        break;
                    }
                    // what may have happened doubles with every change of which nothing is known
                    while promises.shared.possible.len() + promises.own.possible.len() > 8
                        && !until.over.load(Ordering::SeqCst)
                    {
                        promises.settle(&mut client);
                    }
                }
            }
            promises
        })
    };
    promises.into_iter().map(one).collect()
}

impl Promises {
    /// Looks which of the possibilities it is, if somebody says. Not before another change of the same was acknowledged: one that was answered 503
    /// because no standby confirmed it holds its place, and is done when one does; whoever gets a change through comes after it.
    fn settle(&mut self, client: &mut Client) {
        for known in [&mut self.shared, &mut self.own] {
            let change = Change::Put(format!("c{}-settled", self.number), "here".into());
            if !matches!(change.ask(client, &known.path), Said::Answer(200, ..)) {
                // it may still be done, like those before it
                let after: Vec<Items> = known.possible.iter().map(|items| change.to(items)).collect();
                known
                    .possible
                    .extend(after.into_iter().filter(|items| !known.possible.contains(items)).collect::<Vec<_>>());
                continue;
            }
            known.possible.iter_mut().for_each(|items| *items = change.to(items));
            let there =
                client.ask("GET", &known.path, "").json().as_ref().and_then(|json| items_of(json, &known.prefix));
            if let Some(there) = there.filter(|there| known.possible.contains(there)) {
                known.possible = vec![there];
            }
        }
    }
}

/// Looks how long nobody gets a change through.
pub struct Pulse {
    over: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<Duration>,
}

impl Pulse {
    /// From now on.
    pub fn of(counts: &Arc<Counts>) -> Pulse {
        let (over, counts) = (Arc::new(AtomicBool::new(false)), counts.clone());
        let until = over.clone();
        let looking = std::thread::spawn(move || {
            let (mut kept, mut since, mut longest) = (counts.of(&counts.kept), Instant::now(), Duration::ZERO);
            while !until.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
                longest = longest.max(since.elapsed());
                let now = counts.of(&counts.kept);
                if now != kept {
                    (kept, since) = (now, Instant::now());
                }
            }
            longest
        });
        Pulse { over, looking }
    }

    /// Until now: the longest time between two changes that were acknowledged.
    pub fn longest(self) -> Duration {
        self.over.store(true, Ordering::SeqCst);
        self.looking.join().expect("looking does not panic")
    }
}
