//! The emulator's own certificate authority.
//!
//! Owns the certificate that the listeners show and the authority that signed it,
//! both made at start and never kept: whoever is to trust the emulator is given the
//! authority's PEM as one extra file. Must not be written anywhere but there.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The authority could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Making keys or certificates failed.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS stack does not take the certificate.
    #[error("cannot use the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate authority with one server certificate.
pub struct CertificateAuthority {
    /// The authority's certificate, for clients to trust.
    pub pem: String,
    /// What the listeners show.
    pub server: Arc<ServerConfig>,
}

/// How long the certificates live. An emulator lives for hours.
const LIFETIME: time::Duration = time::Duration::days(30);

impl CertificateAuthority {
    /// Makes an authority, and a certificate for loopback: `IP:127.0.0.1` is what the real clients need
    /// (real-clients.md, "Pointing them at a server on loopback").
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] when the crypto library refuses.
    pub fn make(now: time::OffsetDateTime) -> Result<Self, AuthorityError> {
        let mut root = CertificateParams::new(Vec::<String>::new())?;
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.distinguished_name.push(DnType::CommonName, "Slotway emulator certificate authority");
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        live(&mut root, now);
        let key = KeyPair::generate()?;
        let pem = root.self_signed(&key)?.pem();
        let issuer = Issuer::new(root, key);

        let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, "Slotway emulator");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Python from 3.13 on checks strictly and wants the authority's key named in the leaf.
        leaf.use_authority_key_identifier_extension = true;
        live(&mut leaf, now);
        let leaf_key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&leaf_key, &issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { pem, server: Arc::new(server) })
    }
}

fn live(certificate: &mut CertificateParams, now: time::OffsetDateTime) {
    certificate.not_before = now.saturating_sub(time::Duration::days(1));
    certificate.not_after = now.saturating_add(LIFETIME);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_made_and_is_a_new_one_each_time() {
        let now = time::OffsetDateTime::now_utc();
        let one = CertificateAuthority::make(now).expect("made");
        let other = CertificateAuthority::make(now).expect("made");
        assert!(one.pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_ne!(one.pem, other.pem);
        assert_eq!(one.server.alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
