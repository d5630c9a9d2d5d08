//! TLS to PostgreSQL, by rustls: what `sslmode`, `sslrootcert`, `sslcert` and `sslkey` in the database's URL mean, in the words of
//! PostgreSQL's own clients. Files are read at every new connection, so that renewed ones are used without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::store::engine::StoreError;

/// What is asked of a server that is reached over a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    Disable,
    /// Where the server offers it; nobody is told who the server is.
    #[default]
    Prefer,
    /// Always; and nobody is told who the server is.
    Require,
    /// Always, with a certificate that somebody we trust has signed.
    VerifyCa,
    /// That, for the name of the host.
    VerifyFull,
}

impl Mode {
    const ALL: [(&'static str, Mode); 5] = [
        ("disable", Mode::Disable),
        ("prefer", Mode::Prefer),
        ("require", Mode::Require),
        ("verify-ca", Mode::VerifyCa),
        ("verify-full", Mode::VerifyFull),
    ];

    fn named(text: &str) -> Option<Mode> {
        Mode::ALL.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode)
    }
}

/// Whether and how connections are encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encryption {
    mode: Mode,
    roots: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

fn refused(why: impl Into<String>) -> StoreError {
    StoreError::Unavailable(why.into())
}

impl Encryption {
    /// Takes what is about encryption out of a URL; gives the rest of it, too.
    ///
    /// # Errors
    /// `Unavailable` with a sentence for the operator.
    pub fn of(url: &str) -> Result<(Encryption, String), StoreError> {
        // a password may hold a question mark
        let after_password = url.find('@').unwrap_or(0);
        let Some(query) = url[after_password..].find('?').map(|at| after_password + at) else {
            return Ok((Encryption::default(), url.to_owned()));
        };
        let (before, query) = (&url[..query], &url[query + 1..]);
        let mut encryption = Encryption::default();
        let mut rest = Vec::new();
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value).decode_utf8_lossy();
            let file = Some(PathBuf::from(&*value));
            match name {
                "sslmode" => encryption.mode = Mode::named(&value).ok_or_else(|| unknown_mode(&value))?,
                "sslrootcert" => encryption.roots = file,
                "sslcert" => encryption.certificate = file,
                "sslkey" => encryption.key = file,
                _ => rest.push(parameter),
            }
        }
        encryption.make_sense()?;
        let rest = if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
        Ok((encryption, rest))
    }

    fn make_sense(&mut self) -> Result<(), StoreError> {
        match (self.mode, &self.roots) {
            (Mode::VerifyCa | Mode::VerifyFull, None) => Err(refused(
                "the database URL asks to verify the server, and does not say who may have signed its certificate: add \
                 sslrootcert=FILE, in PEM",
            )),
            (Mode::Disable | Mode::Prefer, Some(_)) => Err(refused(
                "the database URL has sslrootcert, which is not looked at without sslmode=verify-full (or verify-ca)",
            )),
            // as PostgreSQL's own clients do
            (Mode::Require, Some(_)) => {
                self.mode = Mode::VerifyCa;
                Ok(())
            }
            _ => Ok(()),
        }?;
        if self.certificate.is_some() != self.key.is_some() {
            return Err(refused("the database URL has one of sslcert and sslkey, which go together"));
        }
        Ok(())
    }

    /// The same for the part of the client that negotiates it.
    pub fn mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What encrypts a connection.
    ///
    /// # Errors
    /// `Unavailable` where a file cannot be used.
    pub fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let versions = versions.expect("the provider has ciphers for the versions that are safe");
        let verified = match (self.mode, &self.roots) {
            (Mode::VerifyFull, Some(path)) => versions.with_root_certificates(roots(path)?),
            (Mode::VerifyCa, Some(path)) => {
                let verifier = AnyName { roots: Some(roots(path)?), provider };
                versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            _ => {
                let verifier = AnyName { roots: None, provider };
                versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("sslcert", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("sslkey", key, &error))?;
                verified.with_client_auth_cert(chain, secret).map_err(|error| unusable("sslkey", key, &error))?
            }
            _ => verified.with_no_client_auth(),
        };
        Ok(MakeRustlsConnect::new(config))
    }
}

fn unknown_mode(mode: &str) -> StoreError {
    let names = Mode::ALL.map(|(name, _)| name).join(", ");
    refused(format!("the database URL has sslmode={mode}, which is none of {names}"))
}

fn unusable(parameter: &str, path: &Path, cause: &dyn std::fmt::Display) -> StoreError {
    refused(format!("{parameter} of the database URL, {}, cannot be used: {cause}", path.display()))
}

fn certificates(parameter: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| unusable(parameter, path, &error))?;
    if read.is_empty() {
        return Err(unusable(parameter, path, &"there is no certificate in PEM in it"));
    }
    Ok(read)
}

fn roots(path: &Path) -> Result<RootCertStore, StoreError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("sslrootcert", path)? {
        store.add(certificate).map_err(|error| unusable("sslrootcert", path, &error))?;
    }
    Ok(store)
}

/// Does not ask for which host a certificate is; and, without roots, not even who has signed it. That the server has the key to it is
/// verified all the same.
#[derive(Debug)]
struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let refusal = Encryption::of(url).expect_err("it makes no sense").to_string();
        assert!(!refusal.contains("secret"), "{refusal}");
        refusal
    }

    #[test]
    fn a_url_says_how_to_encrypt_and_the_rest_of_it_stays() {
        let url =
            "postgres://me:se?cret@one,two/db?sslmode=verify-full&connect_timeout=1&sslrootcert=%2Fetc%2Fca%20cert.pem";
        let (encryption, rest) = Encryption::of(url).expect("a URL");
        assert_eq!(rest, "postgres://me:se?cret@one,two/db?connect_timeout=1");
        let wanted =
            Encryption { mode: Mode::VerifyFull, roots: Some("/etc/ca cert.pem".into()), certificate: None, key: None };
        assert_eq!(encryption, wanted);
    }

    #[test]
    fn a_url_that_says_nothing_prefers_encryption() {
        let (encryption, rest) = Encryption::of("postgres://me@one/db").expect("a URL");
        assert_eq!((encryption.mode(), rest.as_str()), (SslMode::Prefer, "postgres://me@one/db"));
    }

    #[test]
    fn a_root_makes_require_verify() {
        let (encryption, _) = Encryption::of("postgres://one/db?sslmode=require&sslrootcert=/ca").expect("a URL");
        assert_eq!(encryption.mode, Mode::VerifyCa);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        assert!(refusal("postgres://me:secret@one/db?sslmode=allow").contains("none of disable, prefer"));
        assert!(refusal("postgres://me:secret@one/db?sslmode=verify-full").contains("add sslrootcert=FILE"));
        assert!(refusal("postgres://me:secret@one/db?sslrootcert=/ca").contains("without sslmode=verify-full"));
        assert!(refusal("postgres://me:secret@one/db?sslcert=/mine").contains("go together"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let url = "postgres://me:secret@one/db?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem";
        let (encryption, _) = Encryption::of(url).expect("a URL");
        let refusal = encryption.connector().err().expect("the file is not there").to_string();
        assert!(refusal.contains("sslrootcert of the database URL, /nowhere/ca.pem, cannot be used"), "{refusal}");
    }
}
