//! What Slotway calls: Entra, Azure Resource Manager and Kudu.
//!
//! Owns the wire formats of those services and the errors they give, each fact with
//! its source. Knows nothing of releases: it reads, writes and reports, and decides
//! nothing.

pub mod arm;
pub mod credential;
pub mod endpoints;
pub mod error;
pub mod kudu;
pub mod model;
pub mod operation;
pub mod publish_profile;
pub mod rights;
pub mod settings;

pub use arm::{ResourceManager, SitePath};
pub use credential::{CertificateError, Credential, Presented, SignIn, Signer};
pub use endpoints::{Cloud, Endpoints};
pub use error::AzureError;
pub use kudu::Scm;
pub use publish_profile::{ProfileError, PublishProfile};
