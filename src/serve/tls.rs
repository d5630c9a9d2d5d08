//! TLS by rustls: the certificate and the key, read from files, and again when they change. Not here: the connection itself, whose times
//! and limits are those of one without TLS.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use zeroize::Zeroizing;

use crate::config::Settings;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What we speak inside of TLS.
const ALPN: &[u8] = b"http/1.1";

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// One has not in it what it should.
    #[error("{} has no {what} in PEM", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// They do not go together, or their kind is not known.
    #[error("the certificate in {} and the key in {} cannot be used: {cause}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        cause: rustls::Error,
    },
}

/// A certificate with its key, and how connections are made with it.
pub struct Tls {
    files: Files,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// How the files looked when they were read last.
    seen: Mutex<[Option<Look>; 2]>,
}

/// What changes when a file does: device, inode, length, and the times of change in seconds and nanoseconds.
type Look = (u64, u64, u64, [i64; 4]);

/// The pair in force. Connections that exist keep the one they were made with.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// What the settings ask for: nothing, or TLS with these files.
    ///
    /// # Errors
    /// Where the files cannot be used.
    pub fn of(settings: &Settings) -> Result<Option<Arc<Tls>>, TlsError> {
        match (&settings.tls_certificate_file, &settings.tls_key_file) {
            (Some(certificate), Some(key)) => Tls::open(certificate, key).map(Arc::new).map(Some),
            // one without the other is refused where settings are read
            _ => Ok(None),
        }
    }

    /// Reads both files.
    ///
    /// # Errors
    /// Where they cannot be used.
    pub fn open(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
        let files = Files { certificate: certificate.into(), key: key.into(), seen: Mutex::default() };
        *files.seen.lock().unwrap_or_else(PoisonError::into_inner) = files.look();
        let provider = Arc::new(ring::default_provider());
        let current = Arc::new(Current(ArcSwap::from_pointee(files.read(&provider)?)));
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.expect("the provider has ciphers for the versions that are safe");
        let mut config = versions.with_no_client_auth().with_cert_resolver(current.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Tls { files, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// What makes a connection of a stream.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again if they have changed; says whether they had. New connections get the new certificate.
    ///
    /// # Errors
    /// Where the new files cannot be used: the old pair stays in force, until they change again.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let mut seen = self.files.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // looked at before they are read: what changes in between is read once more
        let now = self.files.look();
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        self.current.0.store(Arc::new(self.files.read(&ring::default_provider())?));
        Ok(true)
    }

    /// Keeps the pair up to date, for ever.
    pub(super) async fn keep_up(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            match self.reload_if_changed() {
                Ok(false) => {}
                Ok(true) => tracing::info!("certificate reloaded"),
                Err(error) => tracing::error!(%error, "certificate not reloaded; the old one stays in force"),
            }
        }
    }
}

impl Files {
    fn look(&self) -> [Option<Look>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let seen = std::fs::metadata(path).ok()?;
            let times = [seen.mtime(), seen.mtime_nsec(), seen.ctime(), seen.ctime_nsec()];
            Some((seen.dev(), seen.ino(), seen.len(), times))
        })
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let certificates = contents(&self.certificate)?;
        let empty = |path: &Path, what| TlsError::Empty { path: path.into(), what };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificates).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| empty(&self.certificate, "certificate"))?;
        let key = contents(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| empty(&self.key, "private key"))?;
        if others_may_read(&self.key) {
            tracing::warn!(path = %self.key.display(), "every user of this machine can read the private key: chmod o-r");
        }
        CertifiedKey::from_der(chain, key, provider).map_err(|cause| TlsError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            cause,
        })
    }
}

fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|cause| TlsError::Unreadable { path: path.into(), cause })?;
    Ok(bytes)
}

fn others_may_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests;
