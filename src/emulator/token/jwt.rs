//! JSON Web Tokens: signing with the emulator's own key, reading and verifying.
//!
//! Owns the encoding and the signature. Must not judge claims: [`super::grant`] and
//! [`super::bearer`] do. Entra signs with RS256; the emulator signs with ES256, since
//! no client looks into an access token that is not meant for it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A text that should be a token and is none, or whose signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of base64 with JSON in the first two.
    #[error("not a well-formed token")]
    Malformed,
    /// The algorithm is not the key's.
    #[error("signed with another algorithm than the key's")]
    Algorithm,
    /// The signature is not the key's.
    #[error("the signature does not hold")]
    Signature,
}

/// The key could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot make a signing key")]
pub struct KeyError;

/// The emulator's signing key.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl SigningKey {
    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the system gives no random bytes.
    pub fn make() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| KeyError)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(|_| KeyError)?;
        let id = URL_SAFE_NO_PAD.encode(&Sha256::digest(pair.public_key().as_ref())[..20]);
        Ok(Self { pair, random, id })
    }

    /// Signs claims.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the system gives no random bytes.
    pub fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        let header = json!({"typ": "JWT", "alg": "ES256", "kid": self.id});
        let input = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.pair.sign(&self.random, input.as_bytes()).map_err(|_| KeyError)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// The public half, as the key set document lists it.
    pub fn public(&self) -> PublicKey {
        // An uncompressed point: 0x04, then 32 bytes of x and 32 of y.
        let point = self.pair.public_key().as_ref();
        let half = |range| point.get(range).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).unwrap_or_default();
        PublicKey::Ec { crv: "P-256".to_owned(), x: half(1..33), y: half(33..65) }
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A public key in the shape of RFC 7517.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// ES256.
    #[serde(rename = "EC")]
    Ec {
        /// Always P-256.
        crv: String,
        /// Base64url.
        x: String,
        /// Base64url.
        y: String,
    },
    /// RS256, as GitHub, Azure DevOps and certificates use it.
    #[serde(rename = "RSA")]
    Rsa {
        /// Base64url.
        n: String,
        /// Base64url.
        e: String,
    },
}

/// A token taken apart; nothing is verified yet.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// Its header.
    pub header: Value,
    /// Its claims.
    pub claims: Value,
    input: String,
    signature: Vec<u8>,
}

impl Jwt {
    /// Takes a token apart.
    ///
    /// # Errors
    ///
    /// [`JwtError::Malformed`].
    pub fn read(token: &str) -> Result<Self, JwtError> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtError::Malformed);
        };
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed);
        let object = |part: &str| {
            let value: Value = serde_json::from_slice(&bytes(part)?).map_err(|_| JwtError::Malformed)?;
            if value.is_object() { Ok(value) } else { Err(JwtError::Malformed) }
        };
        Ok(Self {
            header: object(header)?,
            claims: object(claims)?,
            input: format!("{header}.{claims}"),
            signature: bytes(signature)?,
        })
    }

    /// Verifies the signature.
    ///
    /// # Errors
    ///
    /// [`JwtError`] when it does not hold, or when the token names another algorithm than the key's
    /// (so "none" is refused too).
    pub fn verify(&self, key: &PublicKey) -> Result<(), JwtError> {
        let algorithm = self.header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Signature);
        let held =
            match (key, algorithm) {
                (PublicKey::Ec { x, y, .. }, "ES256") => {
                    let point = [vec![4], part(x)?, part(y)?].concat();
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                        .verify(self.input.as_bytes(), &self.signature)
                }
                (PublicKey::Rsa { n, e }, "RS256") => RsaPublicKeyComponents { n: part(n)?, e: part(e)? }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, self.input.as_bytes(), &self.signature),
                _ => return Err(JwtError::Algorithm),
            };
        held.map_err(|_| JwtError::Signature)
    }

    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> &str {
        self.claims.get(claim).and_then(Value::as_str).unwrap_or_default()
    }

    /// A claim that is a time in seconds.
    pub fn seconds(&self, claim: &str) -> Option<i64> {
        let value = self.claims.get(claim)?;
        // Some issuers write times with a fraction.
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_token_verifies_and_a_changed_one_does_not() {
        let key = SigningKey::make().expect("random bytes");
        let token = key.sign(&json!({"sub": "me", "exp": 12})).expect("signs");
        let jwt = Jwt::read(&token).expect("well formed");
        assert_eq!((jwt.text("sub"), jwt.seconds("exp")), ("me", Some(12)));
        assert_eq!(jwt.verify(&key.public()), Ok(()));
        assert_eq!(jwt.verify(&SigningKey::make().expect("random").public()), Err(JwtError::Signature));

        let parts: Vec<&str> = token.split('.').collect();
        let forged = format!("{}.{}.{}", parts[0], encode(&json!({"sub": "you"})), parts[2]);
        let forged = Jwt::read(&forged).expect("well formed");
        assert_eq!(forged.verify(&key.public()), Err(JwtError::Signature));
    }

    #[test]
    fn a_token_without_a_signature_is_refused() {
        let key = SigningKey::make().expect("random bytes");
        let token = format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&json!({"sub": "me"})));
        assert_eq!(Jwt::read(&token).expect("well formed").verify(&key.public()), Err(JwtError::Algorithm));
        for text in ["", "a.b", "a.b.c", "a.b.c.d", "W10.W10.W10"] {
            assert_eq!(Jwt::read(text).err(), Some(JwtError::Malformed), "{text}");
        }
    }

    #[test]
    fn keys_are_read_and_written_as_rfc_7517_has_them() {
        let key = SigningKey::make().expect("random bytes").public();
        let wire = serde_json::to_value(&key).expect("writes");
        assert_eq!((wire["kty"].as_str(), wire["crv"].as_str()), (Some("EC"), Some("P-256")));
        assert_eq!(serde_json::from_value::<PublicKey>(wire).expect("reads"), key);
    }
}
