//! How the client reaches the network: which certificates it trusts, through what
//! it goes, and when trying again is of no use.
//!
//! Owns the making of a client. Certificates are always checked: nothing here, and
//! no setting, can switch that off.

use std::time::Duration;

use super::{Proxies, chain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How the client reaches the network.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// PEM certificates to trust.
    pub certificates: Option<Vec<u8>>,
    /// Trust these certificates only, and use no proxy: the emulator on this machine.
    pub local: bool,
    /// Proxies; where none is set, those that the operating system knows.
    pub proxies: Proxies,
    /// No network at all: requests are answered within the process.
    #[cfg(test)]
    pub(crate) simulated: Option<super::simulated::Simulated>,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The extra certificate file holds no readable certificate.
    #[error("could not read a certificate from the CA file: {0}")]
    Certificates(String),
    /// A proxy is set that cannot be used.
    #[error("{variable} {reason}")]
    Proxy {
        /// The environment variable that sets it.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refused to start.
    #[error("could not set up the HTTP client: {0}")]
    Client(String),
}

/// What every client has: no redirects, and certificates checked.
pub(super) fn builder(network: &Network) -> Result<reqwest::ClientBuilder, NetworkError> {
    // A second call finds the provider installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("slotway/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    let Some(pem) = &network.certificates else { return Ok(builder) };
    let certificates = reqwest::Certificate::from_pem_bundle(pem)
        .map_err(|error| NetworkError::Certificates(chain(&error)))?;
    if certificates.is_empty() {
        return Err(NetworkError::Certificates("it holds no PEM certificate".to_owned()));
    }
    Ok(if network.local {
        builder.tls_certs_only(certificates)
    } else {
        builder.tls_certs_merge(certificates)
    })
}

/// The client itself.
pub(super) fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, NetworkError> {
    builder.build().map_err(|error| NetworkError::Client(chain(&error)))
}

/// Whether the server showed a certificate that is not trusted: it will show the same again.
pub(super) fn is_mistrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref::<rustls::Error>() {
            return true;
        }
        // An I/O error's source is the source of what it wraps, so the wrapped one is taken itself.
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inside) => Some(inside),
            None => cause.source(),
        };
    }
    false
}
