//! A client assertion signed with a certificate's key, in memory.
//!
//! Owns the reading of the PEM text and the signed token (sign-in §3). Must not
//! write a file: the deploy tasks' `spnCert.pem` in the temporary folder is what
//! this replaces.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::signature::{KeyPair, RSA_PKCS1_SHA256 as RS256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::secret::Secret;

/// How long an assertion is accepted; Entra allows ten minutes and more.
const LIFETIME: Duration = Duration::from_secs(600);
/// How far this machine's clock may be ahead of Entra's.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// Why a PEM text cannot be signed with. Never holds a part of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in it.
    #[error("holds no certificate in PEM form")]
    NoCertificate,
    /// There is no readable private key in it.
    #[error("holds no unencrypted private key in PEM form")]
    NoKey,
    /// The key is encrypted.
    #[error("holds a private key that is encrypted with a password")]
    Encrypted,
    /// The key is not an RSA key, or broken.
    #[error("holds a private key that is no RSA key of 2048 bits or more")]
    NotRsa,
    /// None of the certificates is the key's.
    #[error("holds a private key and a certificate that do not belong together")]
    Mismatch,
}

/// Signs assertions for one application.
pub struct Signer {
    key: RsaKeyPair,
    certificate: CertificateDer<'static>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads a certificate and its RSA key, PKCS#8 or PKCS#1, in any order and among
    /// the other certificates of a chain.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says what the text lacks.
    pub fn from_pem(pem: &Secret) -> Result<Self, CertificateError> {
        let text = pem.reveal().as_bytes();
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect();
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = match PrivateKeyDer::from_pem_slice(text) {
            Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            Ok(_) => return Err(CertificateError::NotRsa),
            Err(_) if pem.reveal().contains("ENCRYPTED PRIVATE KEY") => {
                return Err(CertificateError::Encrypted);
            }
            Err(_) => return Err(CertificateError::NoKey),
        };
        let key = key.map_err(|_| CertificateError::NotRsa)?;
        let certificate = certificates
            .into_iter()
            .find(|certificate| belongs(certificate, &key))
            .ok_or(CertificateError::Mismatch)?;
        Ok(Self { key, certificate })
    }

    /// A fresh assertion of `client` for the token endpoint, begun at `now`; nothing
    /// where signing fails, which only a broken key makes happen.
    pub fn assertion(&self, client: &str, token_endpoint: &str, now: SystemTime) -> Option<Secret> {
        let header = json!({
            "alg": "RS256",
            "typ": "JWT",
            "x5t": encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.certificate).as_ref()),
            "x5t#S256": encode(digest(&SHA256, &self.certificate).as_ref()),
        });
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = json!({
            "aud": token_endpoint,
            "iss": client,
            "sub": client,
            "jti": uuid::Uuid::new_v4().to_string(),
            "iat": now.as_secs(),
            "nbf": now.saturating_sub(CLOCK_DIFFERENCE).as_secs(),
            "exp": (now + LIFETIME).as_secs(),
        });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        self.key.sign(&RS256, &random, signed.as_bytes(), &mut signature).ok()?;
        Some(Secret::new(format!("{signed}.{}", encode(signature))))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A certificate holds its public key as the same DER bytes that the private key
/// yields (RFC 5280 §4.1.2.7, RFC 3279 §2.3.1), so no certificate parser is needed.
fn belongs(certificate: &CertificateDer<'_>, key: &RsaKeyPair) -> bool {
    let public = key.public_key().as_ref();
    certificate.windows(public.len()).any(|window| window == public)
}
