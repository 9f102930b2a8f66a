//! The application that may sign in, as a scenario describes it.
//!
//! Owns the YAML shape. Whether a credential is good is for `token` to say.

use serde::Deserialize;

use crate::emulator::token::FederatedCredential;
use crate::emulator::token::jwt::PublicKey;

/// The application's credentials beside those that every emulator has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ApplicationSeed {
    /// Its secret; a random one unless said.
    pub client_secret: Option<String>,
    /// Which foreign tokens it accepts, beside those of the issuer that the control endpoint plays.
    pub federated_credentials: Vec<FederatedCredential>,
    /// The public keys of its certificates, in the shape of RFC 7517.
    pub certificates: Vec<PublicKey>,
}
