//! Packages that are fetched: OneDeploy with `packageUri`.
//!
//! Owns the one request that the emulator itself makes to somewhere else, and only because
//! it was asked to. Must not show the address: it may hold a signature.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

/// How long the other side may take for a connection, and then for each piece.
const PAUSE: Duration = Duration::from_secs(30);

/// Writes what is behind an address to a file.
///
/// # Errors
///
/// Why not, as the text of a refusal.
pub(super) async fn get(address: &str, file: &Path, largest: u64) -> Result<(), String> {
    let parsed = url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = parsed.ok_or("The packageUri is not valid")?;
    let wrong = |error: reqwest::Error| format!("The package cannot be fetched: {}", error.without_url());
    // A second call finds the provider installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        reqwest::Client::builder().connect_timeout(PAUSE).read_timeout(PAUSE).build().map_err(wrong)?;
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let mut answer = answer.map_err(wrong)?;
    let broken = |error: std::io::Error| format!("The package cannot be kept: {error}");
    let mut writer = tokio::fs::File::create(file).await.map_err(broken)?;
    let mut received: u64 = 0;
    while let Some(piece) = answer.chunk().await.map_err(wrong)? {
        received += piece.len() as u64;
        if received > largest {
            return Err("The package is too large.".to_owned());
        }
        writer.write_all(&piece).await.map_err(broken)?;
    }
    writer.flush().await.map_err(broken)
}
