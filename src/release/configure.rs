//! Staging's configuration, as far as a release sets it: the image and the start command.
//!
//! Owns the writing and the reading back; other fields of `config/web` are never sent,
//! so they cannot be lost. Must not touch production's configuration.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Release;
use super::deploy::{DeployError, staging_scm};
use super::journal::{Event, Journal};
use crate::azure::error::AzureError;
use crate::azure::model::{Containers, WebConfig};
use crate::facts::SlotFacts;
use crate::names::ReleaseId;

/// How long Azure is read until it shows what was written.
const SHOWS: Duration = Duration::from_secs(60);
/// How long Kudu may be away after a change of the configuration.
const SCM_RETURNS: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(1);

/// Sets the start command, where one is asked for and it is another one than there is.
/// Kudu restarts for it and would kill a deployment, so it is waited for
/// (kudu-deploy §5, §9).
///
/// # Errors
///
/// [`DeployError`]; production is untouched.
pub(super) async fn startup_command(
    release: &Release<'_>,
    journal: &mut Journal<'_>,
) -> Result<(), DeployError> {
    let Some(wanted) = release.startup_command else { return Ok(()) };
    let slot = staging(release)?;
    if slot.startup_command == wanted {
        return Ok(());
    }
    write(release, slot, json!({ "appCommandLine": wanted }), None).await?;
    journal.add(Event::Configured { slot: slot.slot.clone(), what: "startup command".to_owned() });
    journal.add(Event::Waiting { what: "the SCM site, which restarts".to_owned(), limit: SCM_RETURNS });
    scm_returns(release).await
}

/// Sets the image, with the start command where one is asked for; both in one request,
/// so that the slot restarts once. A slot that has this image already is restarted, so
/// that it is pulled anew.
///
/// # Errors
///
/// [`DeployError`]; production is untouched.
pub(super) async fn image(
    release: &Release<'_>,
    image: &ReleaseId,
    journal: &mut Journal<'_>,
) -> Result<ReleaseId, DeployError> {
    let slot = staging(release)?;
    let started = Instant::now();
    journal.add(Event::Waiting { what: format!("the new image of {}", slot.slot), limit: SHOWS });
    // Azure/webapps-deploy ContainerDeploymentUtility; arm-app-service §11.
    let field = if release.facts.is_linux() { "linuxFxVersion" } else { "windowsFxVersion" };
    let mut properties = Map::from_iter([(field.to_owned(), Value::from(format!("DOCKER|{image}")))]);
    if let Some(command) = release.startup_command.filter(|command| *command != slot.startup_command) {
        properties.insert("appCommandLine".to_owned(), Value::from(command));
    }
    write(release, slot, Value::Object(properties), Some(image)).await?;
    if slot.build.release_id() == Some(image) && release.restarts {
        release.azure.restart(release.path, &slot.slot).await?;
    }
    journal.add(Event::Configured { slot: slot.slot.clone(), what: format!("image {image}") });
    if !release.config.checks.iter().any(|check| check.applies_to(&slot.slot)) {
        journal.warn(
            "Azure tells which image is configured, not which one answers: a check that asks the app \
             for its version would prove it",
        );
    }
    journal.add(Event::Deployed { release: image.clone(), elapsed: started.elapsed() });
    Ok(image.clone())
}

fn staging<'a>(release: &'a Release<'_>) -> Result<&'a SlotFacts, DeployError> {
    release.facts.staging.as_ref().ok_or(DeployError::Nothing)
}

/// Writes, and reads until what was written shows: an answer of 202, or a lost one, tells
/// nothing of the end.
async fn write(
    release: &Release<'_>,
    slot: &SlotFacts,
    properties: Value,
    image: Option<&ReleaseId>,
) -> Result<(), DeployError> {
    release.azure.patch_web_config(release.path, &slot.slot, &properties).await?;
    let command = properties.get("appCommandLine").and_then(Value::as_str);
    let deadline = Instant::now() + SHOWS;
    loop {
        let config = release.azure.web_config(release.path, &slot.slot).await?;
        if shows(&config, image, command) {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            let wanted = image.map_or("its startup command".to_owned(), |image| format!("the image {image}"));
            let has = match config.containers() {
                Some(Containers::Image(image)) => format!("the image {image}"),
                _ => "otherwise".to_owned(),
            };
            return Err(DeployError::NotTaken { slot: slot.slot.to_string(), wanted, has });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn shows(config: &WebConfig, image: Option<&ReleaseId>, command: Option<&str>) -> bool {
    let image_shows = image.is_none_or(
        |image| matches!(config.containers(), Some(Containers::Image(has)) if has == image.as_str()),
    );
    image_shows && command.is_none_or(|command| config.app_command_line == command)
}

/// Kudu is back when it answers twice in a row (kudu-deploy §9).
async fn scm_returns(release: &Release<'_>) -> Result<(), DeployError> {
    let scm = staging_scm(release)?;
    let deadline = Instant::now() + SCM_RETURNS;
    let mut answers = 0;
    loop {
        let answer = tokio::time::timeout_at(deadline, scm.is_there()).await;
        match &answer {
            Ok(Ok(())) => answers += 1,
            _ => answers = 0,
        }
        if answers == 2 {
            return Ok(());
        }
        if Instant::now() + PAUSE >= deadline {
            let why = answer.ok().and_then(Result::err);
            let why = why.map_or("no answer".to_owned(), |error: AzureError| error.to_string());
            return Err(DeployError::ScmGone { why });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_shows_only_in_its_own_letters() {
        let config: WebConfig =
            serde_json::from_value(json!({"linuxFxVersion": "DOCKER|r.io/app:V2", "appCommandLine": "run"}))
                .expect("well formed");
        let image = |text: &str| ReleaseId::image(text).expect("well formed");
        assert!(shows(&config, Some(&image("r.io/app:V2")), Some("run")));
        assert!(shows(&config, Some(&image("r.io/app:V2")), None));
        assert!(!shows(&config, Some(&image("r.io/app:v2")), None));
        assert!(!shows(&config, None, Some("walk")));
        assert!(!shows(&WebConfig::default(), Some(&image("r.io/app:V2")), None));
    }
}
