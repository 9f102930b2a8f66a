//! Whether a bearer token is good for Resource Manager or for Kudu.
//!
//! Owns the checks of signature, issuer, audience and lifetime. Must not write an
//! answer: Resource Manager and Kudu each refuse in their own shape.

use std::sync::atomic::Ordering;

use super::Directory;
use crate::emulator::world::Timestamp;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Resource Manager. Kudu takes such a token too (kudu-deploy.md §2).
    ResourceManager,
    /// Kudu only.
    AppService,
}

impl Audience {
    /// Which service an audience means; the slash at its end does not matter (arm-app-service.md §1).
    /// Those of the public cloud are taken for clients that know no other.
    pub fn of(directory: &Directory, audience: &str) -> Option<Self> {
        let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
        let audience = plain(audience);
        let manager = [
            &directory.resource_manager,
            "https://management.azure.com",
            "https://management.core.windows.net",
        ];
        if manager.iter().any(|one| plain(one) == audience) {
            Some(Self::ResourceManager)
        } else if audience == APP_SERVICE {
            Some(Self::AppService)
        } else {
            None
        }
    }
}

/// The App Service audience of the public cloud (arm-app-service.md §1), which the metadata document names too.
pub const APP_SERVICE: &str = "https://appservice.azure.com";

/// Why a token is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadToken {
    /// There is no bearer token at all.
    Missing,
    /// Not a token, or signed by somebody else, or issued by somebody else.
    Invalid,
    /// For another service.
    Audience(String),
    /// Too old; when it ended.
    Expired(i64),
}

/// Checks the value of an Authorization header.
///
/// # Errors
///
/// [`BadToken`].
pub fn check(
    directory: &Directory,
    authorization: Option<&str>,
    now: Timestamp,
    kudu: bool,
) -> Result<(), BadToken> {
    let token = authorization.and_then(bearer).ok_or(BadToken::Missing)?;
    let jwt = directory.read(token).map_err(|_| BadToken::Invalid)?;
    if jwt.text("iss") != directory.issuer() || jwt.text("tid") != directory.tenant {
        return Err(BadToken::Invalid);
    }
    match Audience::of(directory, jwt.text("aud")) {
        Some(Audience::ResourceManager) => {}
        Some(Audience::AppService) if kudu => {}
        _ => return Err(BadToken::Audience(jwt.text("aud").to_owned())),
    }
    let until = jwt.seconds("exp").unwrap_or(i64::MIN);
    let number: u64 = jwt.text("uti").parse().unwrap_or(0);
    let revoked = number <= directory.expired.load(Ordering::SeqCst);
    if revoked || until <= now.unix_timestamp() {
        return Err(BadToken::Expired(if revoked { now.unix_timestamp().min(until) } else { until }));
    }
    Ok(())
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}
