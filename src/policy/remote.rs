//! Asking another program: the `http:` and `https:` checks. This is the only place of the policy that does I/O; call it outside of
//! any transaction, note the verdict, and evaluate again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use super::evaluate::{Fact, Facts, RemoteQuestion};

/// How long an answer may be; the only one that allows has six bytes with its quotes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// How a question is put: `remote_content_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// `application/x-www-form-urlencoded`: three fields, each with JSON in it.
    #[default]
    Form,
    /// `application/json`: one object.
    Json,
}

/// The `remote_…` options of `[oslo_policy]`.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// `remote_content_type`.
    pub content_type: ContentType,
    /// `remote_timeout`: for the whole exchange.
    pub timeout: Duration,
    /// `remote_ssl_verify_server_crt`. Off by default, as in the original.
    pub verify_server: bool,
    /// `remote_ssl_ca_crt_file`: who may have signed the server's certificate, instead of the well-known authorities.
    pub ca_file: Option<PathBuf>,
    /// `remote_ssl_client_crt_file` and `remote_ssl_client_key_file`.
    pub client_files: Option<(PathBuf, PathBuf)>,
}

impl Default for RemoteSettings {
    fn default() -> RemoteSettings {
        RemoteSettings {
            content_type: ContentType::Form,
            timeout: Duration::from_secs(60),
            verify_server: false,
            ca_file: None,
            client_files: None,
        }
    }
}

/// Why there is no verdict. The request it was for fails; it is neither allowed nor denied.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No answer, or one that cannot be read.
    #[error("{url} gave no verdict: {cause}")]
    NoAnswer {
        /// Who was asked.
        url: String,
        /// What went wrong.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// No answer in time.
    #[error("{url} gave no verdict within {seconds} seconds")]
    TimedOut {
        /// Who was asked.
        url: String,
        /// How long we waited.
        seconds: f64,
    },
    /// A certificate or key file that is of no use.
    #[error("{}: {sentence}", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        sentence: String,
    },
}

/// Puts questions to other programs. Connections are kept between questions.
#[derive(Debug)]
pub struct Remote {
    agent: ureq::Agent,
    content_type: ContentType,
    timeout: Duration,
}

impl Remote {
    /// Reads the certificates the settings name.
    ///
    /// # Errors
    /// `Certificate` when one cannot be read.
    pub fn new(settings: &RemoteSettings) -> Result<Remote, RemoteError> {
        let agent = ureq::Agent::config_builder()
            .tls_config(tls(settings)?)
            .timeout_global(Some(settings.timeout))
            // A status means nothing here, only the body does. A redirection is not followed, since it would turn the POST into a
            // GET without the question; its body is not `True`, so it denies.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .into();
        Ok(Remote { agent, content_type: settings.content_type, timeout: settings.timeout })
    }

    /// Whether the program asked allows it: iff its answer, without double quotes around it, is exactly `True`. Blocks.
    ///
    /// # Errors
    /// `TimedOut`, or `NoAnswer` for everything else on the way.
    pub fn ask(
        &self,
        question: &RemoteQuestion,
        credentials: &dyn Facts,
        target: &dyn Facts,
    ) -> Result<bool, RemoteError> {
        let url = question.shown();
        let failed = |cause: ureq::Error| match cause {
            ureq::Error::Timeout(_) => RemoteError::TimedOut { url: url.clone(), seconds: self.timeout.as_secs_f64() },
            // it quotes the URL
            ureq::Error::BadUri(_) => {
                RemoteError::NoAnswer { url: url.clone(), cause: Box::new(ureq::Error::BadUri("no URL".to_owned())) }
            }
            cause => RemoteError::NoAnswer { url: url.clone(), cause: Box::new(cause) },
        };
        let (rule, target, credentials) = (json_text(&question.rule), json_object(target), json_object(credentials));
        let post = self.agent.post(&question.url);
        let answer = match self.content_type {
            ContentType::Form => post.send_form([("rule", rule), ("target", target), ("credentials", credentials)]),
            ContentType::Json => post
                .content_type("application/json")
                .send(format!("{{\"rule\": {rule}, \"target\": {target}, \"credentials\": {credentials}}}")),
        };
        let mut answer = answer.map_err(failed)?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        Ok(allows(&body))
    }
}

fn allows(answer: &[u8]) -> bool {
    std::str::from_utf8(answer).is_ok_and(|text| text.trim_matches('"') == "True")
}

fn tls(settings: &RemoteSettings) -> Result<TlsConfig, RemoteError> {
    let mut tls = TlsConfig::builder().disable_verification(!settings.verify_server);
    if let Some(path) = settings.ca_file.as_ref().filter(|_| settings.verify_server) {
        tls = tls.root_certs(RootCerts::from(certificates(path)?));
    }
    if let Some((certificate, key)) = &settings.client_files {
        let key_of = PrivateKey::from_pem(&read(key)?).map_err(|error| unusable(key, error))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(certificate)?, key_of)));
    }
    Ok(tls.build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, RemoteError> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&read(path)?) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unusable(path, error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(unusable(path, "there is no certificate in it")) } else { Ok(certificates) }
}

fn read(path: &Path) -> Result<Vec<u8>, RemoteError> {
    fs::read(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, why: impl ToString) -> RemoteError {
    RemoteError::Certificate { path: path.to_owned(), sentence: why.to_string() }
}

/// Facts as a JSON object.
fn json_object(facts: &dyn Facts) -> String {
    let mut members = Vec::new();
    facts.each(&mut |name, fact| members.push(format!("{}: {}", json_text(name), json_fact(fact))));
    format!("{{{}}}", members.join(", "))
}

fn json_fact(fact: Fact<'_>) -> String {
    match fact {
        Fact::Str(text) => json_text(text),
        Fact::List(texts) => format!("[{}]", texts.iter().map(|text| json_text(text)).collect::<Vec<_>>().join(", ")),
        Fact::Bool(flag) => flag.to_string(),
        Fact::Int(number) => number.to_string(),
        Fact::None => "null".to_owned(),
    }
}

fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    use super::*;

    /// A server for one exchange: gives `answer`, then tells the content type and body it was sent.
    fn serve(answer: &'static str) -> (SocketAddr, JoinHandle<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let server = std::thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().expect("a caller").0);
            let (mut content_type, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a head");
                let Some((name, value)) = line.trim().split_once(": ") else {
                    if line.trim().is_empty() { break } else { continue }
                };
                match name.to_ascii_lowercase().as_str() {
                    "content-type" => content_type = value.to_owned(),
                    "content-length" => length = value.parse().expect("a number"),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            reader.get_mut().write_all(answer.as_bytes()).expect("a caller that listens");
            (content_type, String::from_utf8(body).expect("text"))
        });
        (address, server)
    }

    fn ask(settings: &RemoteSettings, address: SocketAddr) -> Result<bool, RemoteError> {
        let roles = ["a".to_owned(), "b".to_owned()];
        let credentials = [("roles", Fact::List(&roles)), ("is_admin", Fact::Bool(false)), ("domain_id", Fact::None)];
        let target = [("name", Fact::Str("ä\"&\n")), ("n", Fact::Int(7))];
        let question = RemoteQuestion { url: format!("http://{address}/check"), rule: "a:b".to_owned() };
        Remote::new(settings)?.ask(&question, &credentials, &target)
    }

    #[test]
    fn a_form_carries_three_fields_of_json() {
        let (address, server) = serve("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nTrue");
        assert!(ask(&RemoteSettings::default(), address).expect("an answer"));
        let (content_type, body) = server.join().expect("a server that ends");
        assert_eq!(content_type, "application/x-www-form-urlencoded");
        let fields: Vec<&str> = body.split('&').map(|field| field.split('=').next().unwrap_or("")).collect();
        assert_eq!(fields, ["rule", "target", "credentials"]);
        assert!(body.starts_with("rule=%22a%3Ab%22&target=%7B%22name%22%3A"), "{body}");
    }

    #[test]
    fn json_carries_one_object() {
        let (address, server) = serve("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\"True\"");
        let settings = RemoteSettings { content_type: ContentType::Json, ..RemoteSettings::default() };
        assert!(ask(&settings, address).expect("an answer"));
        let (content_type, body) = server.join().expect("a server that ends");
        assert_eq!(content_type, "application/json");
        let expected = serde_json::json!({
            "rule": "a:b",
            "target": {"name": "ä\"&\n", "n": 7},
            "credentials": {"roles": ["a", "b"], "is_admin": false, "domain_id": null},
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).expect("JSON"), expected);
    }

    #[test]
    fn only_true_allows() {
        for (answer, allowed) in
            [("True", true), ("\"True\"", true), ("\"\"True", true), ("true", false), ("True\n", false), ("", false)]
        {
            assert_eq!(allows(answer.as_bytes()), allowed, "{answer:?}");
        }
    }

    #[test]
    fn a_redirection_denies() {
        let (address, _server) = serve("HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 2\r\n\r\nno");
        assert!(!ask(&RemoteSettings::default(), address).expect("an answer"));
    }

    #[test]
    fn nobody_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        drop(listener);
        assert!(matches!(ask(&RemoteSettings::default(), address), Err(RemoteError::NoAnswer { .. })));
    }

    #[test]
    fn a_silent_program_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let settings = RemoteSettings { timeout: Duration::from_millis(30), ..RemoteSettings::default() };
        let asked = ask(&settings, listener.local_addr().expect("a bound port"));
        assert!(matches!(asked, Err(RemoteError::TimedOut { .. })));
    }

    #[test]
    fn a_certificate_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("ca.pem");
        fs::write(&path, "nothing").expect("a written file");
        let settings = RemoteSettings { verify_server: true, ca_file: Some(path), ..RemoteSettings::default() };
        assert!(matches!(Remote::new(&settings), Err(RemoteError::Certificate { .. })));
    }
}
