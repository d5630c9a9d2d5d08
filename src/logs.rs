//! Log lines: how they look and how they get out without making a request wait.
//! Lines are handed to one thread through a bounded queue; when it is full a line is counted and dropped.
//! Of many lines of one place in the code some are left out (`seldom`). What is worth a line is decided elsewhere. No line has a token, a password, a header or a query in it.

mod seldom;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::seldom::Seldom;
use crate::api::query::percent_decoded;
use crate::config::{LogFormat, LogLevel};
use crate::model::ids::{ProjectId, RequestId};

/// Lines the queue holds: some megabytes, a fraction of a second of a busy server.
const LINES_MAX: usize = 16_384;
/// How long the end of the process waits for the last lines.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// What the line of a request says.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRecord<'a> {
    /// The id the client was told, if it was told one.
    pub request_id: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path as sent, without the query.
    pub path: &'a str,
    /// The status; `None` if the client went away before there was one.
    pub status: Option<u16>,
    /// From the end of the request's headers to the end of the response.
    pub duration: Duration,
    /// Bytes of the response's body that were handed to the connection.
    pub body_bytes: u64,
    /// The project the caller acted in, if somebody was authenticated.
    pub project_id: Option<&'a str>,
}

struct Sink {
    lines: Lines,
    json: bool,
    access: bool,
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// Keeps the logs going; when it is dropped, the last lines are written.
#[derive(Debug)]
#[must_use = "when this is dropped, the last lines are written"]
pub struct Logs {
    lines: Lines,
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.lines.flush();
    }
}

/// Sends the log lines of this process to standard error, and panics into the log. Only the first call in a process
/// decides how lines look. Crates we use are heard from `warn` on only: their finer lines may quote what clients send.
pub fn install(format: LogFormat, level: LogLevel) -> Logs {
    let terminal = io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let level = level_filter(level);
    let sink = SINK.get_or_init(|| Sink {
        lines: Lines::to(io::stderr(), LINES_MAX, json),
        json,
        access: level >= LevelFilter::INFO,
    });
    let lines = sink.lines.clone();
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("kilonova", level);
    let writer = { move || lines.clone() };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(terminal && !json);
    let seldom = Seldom::among(sink.lines.clone(), json);
    let registry = tracing_subscriber::registry().with(targets).with(seldom);
    let installed =
        if json { registry.with(lines.json().flatten_event(true)).try_init() } else { registry.with(lines).try_init() };
    if installed.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    Logs { lines: sink.lines.clone() }
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = message_of(panic);
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let request_id = About::now().request_id.map(|id| id.to_string());
    tracing::error!(request_id, place, "panic: {message}");
}

/// What a panic says. Of a message that was put together only what stands before the first thing that may have been put into it: the text
/// that could not be cut in the middle of a character may be a password.
fn message_of<'a>(panic: &'a std::panic::PanicHookInfo<'_>) -> &'a str {
    if let Some(text) = panic.payload().downcast_ref::<&'static str>() {
        return text;
    }
    let text = panic.payload_as_str().unwrap_or("no message");
    text.split(['`', '\'', '"', ':', '\n']).next().unwrap_or_default().trim_end()
}

/// Writes the line of a request. Does nothing where no logs are installed, or only worse news are wanted.
pub fn access_line<'a>(record: impl FnOnce() -> AccessRecord<'a>) {
    if let Some(sink) = SINK.get().filter(|sink| sink.access) {
        let (now, record) = (Timestamp::now(), record());
        sink.lines.put(if sink.json { record.json(now) } else { record.human(now) }.into_bytes());
    }
}

impl AccessRecord<'_> {
    fn json(&self, now: Timestamp) -> String {
        let mut line = format!("{{\"timestamp\":\"{now:.6}\",\"level\":\"INFO\",\"target\":\"kilonova::access\"");
        let texts = [
            ("request_id", self.request_id.map(Cow::Borrowed)),
            ("method", Some(Cow::Borrowed(self.method))),
            ("path", Some(without_token(self.path))),
            ("project_id", self.project_id.map(Cow::Borrowed)),
        ];
        for (name, text) in texts {
            let _ = write!(line, ",\"{name}\":");
            put_json(&mut line, text.as_deref());
        }
        let _ = match self.status {
            Some(status) => write!(line, ",\"status\":{status}"),
            None => write!(line, ",\"status\":null"),
        };
        let _ = writeln!(line, ",\"duration_ms\":{:.3},\"body_bytes\":{}}}", self.milliseconds(), self.body_bytes);
        line
    }

    fn human(&self, now: Timestamp) -> String {
        let path = without_token(self.path);
        let mut line = format!("{now:.6}  INFO {} {} ", self.method.escape_debug(), path.escape_debug());
        let _ = match self.status {
            Some(status) => write!(line, "{status}"),
            None => write!(line, "client-gone"),
        };
        let _ = write!(line, " {:.3}ms {}B", self.milliseconds(), self.body_bytes);
        for (name, text) in [("", self.request_id), ("project=", self.project_id)] {
            if let Some(text) = text {
                let _ = write!(line, " {name}{}", text.escape_debug());
            }
        }
        line.push('\n');
        line
    }

    fn milliseconds(&self) -> f64 {
        self.duration.as_secs_f64() * 1000.0
    }
}

/// A path whose Fernet tokens are masked, whichever of their letters are escaped: old Identity clients put a token into the URL.
fn without_token(path: &str) -> Cow<'_, str> {
    let has_token =
        |text: &str| text.contains("gAAAA") || (text.contains('%') && holds(&percent_decoded(text), b"gAAAA"));
    if !has_token(path) {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| if has_token(segment) { "***" } else { segment });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn put_json(line: &mut String, text: Option<&str>) {
    let Some(text) = text else { return line.push_str("null") };
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => line.extend(['\\', letter]),
            control if control.is_control() => {
                let _ = write!(line, "\\u{:04x}", u32::from(control));
            }
            letter => line.push(letter),
        }
    }
    line.push('"');
}

/// What the answering side tells the log about the request it is answering.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct About {
    pub(crate) request_id: Option<RequestId>,
    pub(crate) project_id: Option<ProjectId>,
}

thread_local! {
    /// What is known of the request whose answer this thread is at.
    static ABOUT: RefCell<About> = const { RefCell::new(About { request_id: None, project_id: None }) };
}

impl About {
    /// Takes one step of an answer, which must not unwind, and learns what it says about itself.
    pub(crate) fn during<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let before = ABOUT.replace(std::mem::take(self));
        let given = step();
        *self = ABOUT.replace(before);
        given
    }

    fn now() -> About {
        ABOUT.with_borrow(About::clone)
    }
}

/// Tells the log the id of the request that is being answered by this task. A 500 the street has to give carries it too.
pub fn name_request(request_id: RequestId) {
    ABOUT.with_borrow_mut(|about| about.request_id = Some(request_id));
}

/// Tells the log in which project the request that is being answered by this task acts.
pub fn name_project(project_id: &ProjectId) {
    ABOUT.with_borrow_mut(|about| about.project_id = Some(project_id.clone()));
}

/// The queue of lines, and the count of those that found it full.
#[derive(Clone, Debug)]
struct Lines {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Lines {
    /// A queue of at most `lines_max` lines, and a thread that writes them.
    fn to(out: impl Write + Send + 'static, lines_max: usize, json: bool) -> Lines {
        let (queue, lines) = sync_channel(lines_max);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let write = move || write_lines(&lines, out, &counted, json);
        // Without a thread the queue has no other end, and every line is dropped: the server runs without logs.
        let _ = std::thread::Builder::new().name("logs".to_owned()).spawn(write);
        Lines { queue, dropped }
    }

    fn put(&self, line: Vec<u8>) {
        match self.queue.try_send(Message::Line(line)) {
            Ok(()) => (),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all lines so far are written, at most a second: standard error may be a pipe nobody reads.
    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH_WAIT);
        }
    }
}

/// One event is one call: tracing-subscriber formats it whole before it writes it.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until every sender is gone. Errors are ignored: there is no place left to report them.
fn write_lines(messages: &Receiver<Message>, mut out: impl Write, dropped: &AtomicU64, json: bool) {
    let mut batch = Vec::new();
    while let Ok(first) = messages.recv() {
        let mut flushed = Vec::new();
        // A bounded batch: one write for many lines, but none waits for an endless stream of others.
        for message in std::iter::once(first).chain(messages.try_iter().take(255)) {
            match message {
                Message::Line(line) => batch.extend_from_slice(&line),
                Message::Flush(done) => flushed.push(done),
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            batch.extend_from_slice(missing_line("dropped", lost, json).as_bytes());
        }
        let _ = out.write_all(&batch).and_then(|()| out.flush());
        batch.clear();
        for done in flushed {
            let _ = done.try_send(());
        }
    }
}

/// Says that so many lines are not there.
fn missing_line(why: &str, lines: u64, json: bool) -> String {
    let now = Timestamp::now();
    match json {
        true => format!(
            "{{\"timestamp\":\"{now:.6}\",\"level\":\"WARN\",\"target\":\"kilonova::logs\",\
             \"message\":\"log lines {why}\",\"lines\":{lines}}}\n"
        ),
        false => format!("{now:.6}  WARN kilonova::logs: {lines} log lines {why}\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    fn record() -> AccessRecord<'static> {
        AccessRecord {
            request_id: Some("req-1"),
            method: "PUT",
            path: "/v2.1/servers/a",
            status: Some(200),
            duration: Duration::from_micros(1500),
            body_bytes: 12,
            project_id: None,
        }
    }

    fn noon() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_panic_is_a_line_with_the_id_of_its_request() {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this is a program"));
        let output = child.args(["--ignored", "--nocapture", "--exact", "logs::tests::panics_in_a_request"]).output();
        let lines = String::from_utf8(output.expect("it can be run again").stderr).expect("text");
        let line = lines.lines().find(|line| line.contains("panic: as the test wants it")).expect("a line");
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let id = RequestId::from_random([7; 16]);
        assert_eq!((&value["request_id"], &value["level"]), (&id.as_str().into(), &"ERROR".into()));
        assert!(value["place"].as_str().is_some_and(|place| place.contains("logs.rs:")), "{line}");
        // the library's messages show what they are about, and that may be anybody's
        assert_eq!(lines.matches("panic: ").count(), 6, "{lines}");
        assert!(!lines.contains("SecretInAPanic"), "{lines}");
        assert!(lines.contains("panic: it was checked\""), "{lines}");
    }

    #[test]
    #[ignore = "it takes over the logs of its process: the test above runs it in one of its own"]
    fn panics_in_a_request() {
        let _logs = install(LogFormat::Json, LogLevel::Info);
        let panicked = About::default().during(|| {
            std::panic::catch_unwind(|| {
                name_request(RequestId::from_random([7; 16]));
                panic!("as the test wants it");
            })
        });
        assert!(panicked.is_err());
        let password = "SecretInAPanic\u{e9}".to_owned();
        let refused = || -> Result<String, String> { Err(password.clone()) };
        let panics: [&dyn Fn() -> String; 5] = [
            &|| password[..password.len() - 1].to_owned(),
            &|| password[99..].to_owned(),
            &|| refused().expect("it was checked"),
            &|| refused().unwrap_or_else(|text| panic!("none: {text}")),
            &|| {
                assert_eq!(password, "another");
                String::new()
            },
        ];
        for panic in panics {
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).is_err());
        }
    }

    #[test]
    fn an_access_line_in_json_is_one_object() {
        let line = record().json(noon());
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["timestamp"], "2026-01-02T12:00:00.000000Z");
        assert_eq!(value["duration_ms"], 1.5);
        assert_eq!((&value["status"], &value["project_id"]), (&200.into(), &serde_json::Value::Null));
    }

    #[test]
    fn an_access_line_for_eyes_is_one_line() {
        let line = AccessRecord { path: "/a\nb", ..record() }.human(noon());
        assert_eq!(line, "2026-01-02T12:00:00.000000Z  INFO PUT /a\\nb 200 1.500ms 12B req-1\n");
    }

    #[test]
    fn a_path_cannot_break_the_json() {
        let line = AccessRecord { path: "/\"\\\n\u{7f}é", ..record() }.json(noon());
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["path"], "/\"\\\n\u{7f}é");
    }

    #[test]
    fn a_token_in_a_path_is_masked() {
        let record = AccessRecord { path: "/v2.0/tokens/gAAAAABsecret/endpoints", ..record() };
        assert!(record.human(noon()).contains("/v2.0/tokens/***/endpoints"));
        assert!(!record.json(noon()).contains("secret"));
    }

    struct Gate {
        entered: std::sync::mpsc::Sender<()>,
        open: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.entered.send(());
            let _open = self.open.lock().expect("nobody panics with it");
            self.written.lock().expect("nobody panics with it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_hangs_costs_lines_and_not_time() {
        let (entered, writing) = channel();
        let (open, written) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
        let closed = open.lock().expect("nobody has it");
        let lines = Lines::to(Gate { entered, open: Arc::clone(&open), written: Arc::clone(&written) }, 2, false);
        lines.put(b"one\n".to_vec());
        writing.recv().expect("the thread writes the first line");
        for line in ["two\n", "three\n", "four\n", "five\n"] {
            lines.put(line.into());
        }
        drop(closed);
        writing.recv().expect("the thread writes the others");
        lines.flush();
        let written = String::from_utf8(written.lock().expect("nobody panics with it").clone()).expect("text");
        assert!(written.starts_with("one\ntwo\nthree\n") && written.ends_with("2 log lines dropped\n"), "{written}");
    }
}
