//! The scenario file: what world to build, how long things take, what goes wrong.
//!
//! Owns the YAML shape. Pure: the caller reads the file and resolves paths. Must not
//! interpret faults beyond their shape; the listeners do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::{ResourceGroup, SiteName, SlotName};

mod actor;
mod application;
pub mod duration;

pub use actor::{Action, Actor};
pub use application::ApplicationSeed;

/// A scenario; every key may be left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Scenario {
    /// The app's name.
    pub app: SiteName,
    /// Its resource group.
    pub resource_group: ResourceGroup,
    /// The plan's tier.
    pub tier: String,
    /// The plan's machines.
    pub workers: usize,
    /// "app,linux" or "app".
    pub kind: String,
    /// "West Europe".
    pub location: String,
    /// From which all ids of the world are made.
    pub seed: u64,
    /// How long things take.
    pub durations: Durations,
    /// Whether sites keep `inProgressOperationId` to themselves: no recording ever showed one
    /// (seen-in-recordings.md 4).
    pub hides_operations: bool,
    /// Whether time runs or is stepped.
    pub time: TimeMode,
    /// Who may sign in.
    pub application: ApplicationSeed,
    /// The slots; production and staging exist in any case.
    pub slots: BTreeMap<SlotName, SlotSeed>,
    /// What the registries hold, by image reference; any other cannot be pulled.
    pub images: BTreeMap<String, ImageSeed>,
    /// What `slotway rehearse` releases.
    pub release: Option<ReleaseSeed>,
    /// What goes wrong: each is read by the fault module.
    pub faults: Vec<Value>,
    /// Who else acts.
    pub actors: Vec<Actor>,
}

/// Real or stepped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeMode {
    /// The world's time is the machine's.
    Real,
    /// The world's time moves by command only.
    Stepped,
}

/// How long things take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Durations {
    /// From the upload's arrival to the end of the deployment, at least.
    #[serde(with = "duration")]
    pub deploy: Duration,
    /// From the start of an instance to its readiness, at least.
    #[serde(with = "duration")]
    pub start: Duration,
    /// From the swap's acceptance to the application of settings.
    #[serde(with = "duration")]
    pub swap_apply: Duration,
    /// From the end of the warm-up to the switch.
    #[serde(with = "duration")]
    pub swap_switch: Duration,
    /// From the switch to the end of the operation.
    #[serde(with = "duration")]
    pub swap_finish: Duration,
    /// How long SCM is away when it restarts.
    #[serde(with = "duration")]
    pub scm_restart: Duration,
    /// How long creating a slot takes (the skin waits with its answer).
    #[serde(with = "duration")]
    pub create_slot: Duration,
    /// How long a warm-up request may take: 90 s (arm-app-service.md §7, 4).
    #[serde(with = "duration")]
    pub ping_timeout: Duration,
    /// From a failed warm-up request to the next.
    #[serde(with = "duration")]
    pub ping_retry: Duration,
    /// From the death of an app to its next start.
    #[serde(with = "duration")]
    pub revive: Duration,
    /// How long requests in flight may take when an instance stops.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// How long the front end lets a request wait for an instance.
    #[serde(with = "duration")]
    pub front_wait: Duration,
    /// How long a token lives.
    #[serde(with = "duration")]
    pub token_lifetime: Duration,
    /// `Retry-After` of a swap and its polls.
    #[serde(with = "duration")]
    pub retry_after: Duration,
}

/// A slot as it is in the beginning.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SlotSeed {
    /// A folder or a zip that it serves.
    pub package: Option<PathBuf>,
    /// App settings that move.
    pub settings: BTreeMap<String, String>,
    /// App settings that stay.
    pub slot_settings: BTreeMap<String, String>,
    /// Properties of `config/web`.
    pub web_config: Option<Value>,
    /// Whether it is stopped.
    pub stopped: bool,
}

/// An image, whose content is that of a package.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSeed {
    /// A folder or a zip, relative to the scenario file.
    pub package: PathBuf,
}

/// What a rehearsal releases.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseSeed {
    /// The package, relative to the scenario file.
    pub package: PathBuf,
    /// The configuration, relative to the scenario file.
    #[serde(default)]
    pub config: Option<PathBuf>,
}

/// A point that the world reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// A swap was answered with 202.
    SwapAccepted,
    /// A swap's routing was exchanged.
    SwapSwitched,
    /// A swap ended well.
    SwapFinished,
    /// A swap failed and was reverted.
    SwapFailed,
    /// A preview was applied.
    PreviewApplied,
    /// An upload arrived.
    DeployAccepted,
    /// A deployment ended well.
    Deployed,
    /// A deployment failed or was killed.
    DeployFailed,
}

impl Default for Durations {
    /// Instant.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            deploy: ms(0),
            start: ms(0),
            swap_apply: ms(0),
            swap_switch: ms(0),
            swap_finish: ms(0),
            scm_restart: ms(0),
            create_slot: ms(0),
            ping_timeout: Duration::from_secs(90),
            ping_retry: ms(50),
            revive: ms(200),
            drain: Duration::from_secs(5),
            front_wait: Duration::from_secs(30),
            token_lifetime: Duration::from_secs(3600),
            retry_after: Duration::from_secs(15),
        }
    }
}

impl Durations {
    /// The durations that Azure shows: a swap of about 55 s (seen-in-recordings.md 7), a slot in 25 s (5); the
    /// rest is unconfirmed.
    pub fn realistic() -> Self {
        let s = Duration::from_secs;
        Self {
            deploy: s(20),
            start: s(12),
            swap_apply: s(5),
            swap_switch: s(3),
            swap_finish: s(30),
            scm_restart: s(8),
            create_slot: s(25),
            ping_retry: s(1),
            revive: s(5),
            drain: s(30),
            front_wait: s(230),
            ..Self::default()
        }
    }
}

impl Scenario {
    /// The slots to create: those named, and production and staging.
    pub fn slot_names(&self) -> Vec<SlotName> {
        let mut names: Vec<SlotName> = self.slots.keys().cloned().collect();
        for name in [SlotName::production(), staging()] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Where the content of each image lies, below the folder of all contents.
    pub(in crate::emulator) fn image_folders(&self, contents: &std::path::Path) -> BTreeMap<String, PathBuf> {
        let numbered = self.images.keys().enumerate();
        numbered.map(|(number, name)| (name.clone(), contents.join(format!("image-{number}")))).collect()
    }

    /// The scenario with the durations that Azure shows.
    #[must_use]
    pub fn realistic(self) -> Self {
        Self { durations: Durations::realistic(), ..self }
    }

    /// Reads a scenario from YAML. An empty text is the default scenario.
    ///
    /// # Errors
    ///
    /// What is wrong, with line and column.
    pub fn from_yaml(text: &str) -> Result<Self, ScenarioError> {
        let nothing = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
        if nothing {
            return Ok(Self::default());
        }
        // A byte order mark, as editors on Windows write it, is a document to the library.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let scenario: Self = serde_yaml::from_str(text).map_err(|error| ScenarioError {
            at: error.location().map(|at| (at.line(), at.column())),
            message: error.to_string(),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let allowed = super::world::site::slots_allowed(&self.tier);
        let slots = self.slot_names().len() - 1;
        let problem = if self.workers == 0 || self.workers > 30 {
            format!("workers: {} is not between 1 and 30", self.workers)
        } else if slots > allowed {
            format!("tier: {} allows {allowed} slots beside production, not {slots}", self.tier)
        } else {
            return Ok(());
        };
        Err(ScenarioError { message: problem, at: None })
    }

    /// Makes relative paths relative to this folder.
    pub fn relative_to(&mut self, folder: &std::path::Path) {
        let packages = self.slots.values_mut().filter_map(|slot| slot.package.as_mut());
        let released = self
            .release
            .iter_mut()
            .flat_map(|seed| std::iter::once(&mut seed.package).chain(&mut seed.config));
        let deployed = self.actors.iter_mut().filter_map(|actor| match &mut actor.action {
            Action::Deploy { package, .. } => Some(package),
            _ => None,
        });
        let images = self.images.values_mut().map(|image| &mut image.package);
        for path in packages.chain(released).chain(deployed).chain(images) {
            // An absolute path replaces the folder.
            *path = folder.join(&path);
        }
    }
}

fn staging() -> SlotName {
    SlotName::new("staging").expect("seven letters are a slot's name")
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            app: SiteName::new("contoso-web").expect("letters and a hyphen are an app's name"),
            resource_group: ResourceGroup::new("contoso").expect("seven letters are a group's name"),
            tier: "Standard".to_owned(),
            workers: 2,
            kind: "app,linux".to_owned(),
            location: "West Europe".to_owned(),
            seed: 1,
            durations: Durations::default(),
            hides_operations: false,
            time: TimeMode::Real,
            application: ApplicationSeed::default(),
            slots: BTreeMap::new(),
            images: BTreeMap::new(),
            release: None,
            faults: Vec::new(),
            actors: Vec::new(),
        }
    }
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ScenarioError {
    /// What is wrong and where.
    pub message: String,
    /// Line and column, from 1, if known.
    pub at: Option<(usize, usize)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
app: shop
workers: 3
time: stepped
durations: {deploy: 300ms, start: 2s, swap-switch: 1.5, token-lifetime: 1h}
slots:
  production: {package: ../v1, settings: {A: b}, slot-settings: {C: d}, web-config: {alwaysOn: true}}
  canary: {stopped: true}
images: {"registry.io/app:2": {package: ../v3}}
release: {package: ../v2, config: slotway.yml}
application:
  client-secret: planted
  federated-credentials: [{issuer: 'https://issuer', subject: s, keys: [{kty: RSA, n: AQAB, e: AQAB}]}]
  certificates: [{kty: RSA, n: AQAB, e: AQAB}]
faults: [{on: {service: scm}, do: refuse}]
actors:
  - {after: swap-accepted, do: scale, workers: 3}
  - {after: deployed, skip: 1, delay: 10ms, do: swap, source: staging}
"#;

    #[test]
    fn a_full_scenario_is_read_and_its_paths_lie_beside_the_file() {
        let mut scenario = Scenario::from_yaml(FULL).expect("well formed");
        scenario.relative_to(std::path::Path::new("/scenarios"));
        assert_eq!(scenario.app.as_str(), "shop");
        assert_eq!(scenario.durations.deploy, Duration::from_millis(300));
        assert_eq!(scenario.durations.swap_switch, Duration::from_millis(1500));
        assert_eq!(scenario.durations.retry_after, Duration::from_secs(15));
        assert_eq!(scenario.slot_names().len(), 3);
        let application = &scenario.application;
        assert_eq!(application.client_secret.as_deref(), Some("planted"));
        assert_eq!(application.federated_credentials[0].audience, "api://AzureADTokenExchange");
        assert_eq!(application.federated_credentials[0].keys, application.certificates);
        let production = &scenario.slots[&SlotName::production()];
        assert_eq!(production.package.as_deref(), Some(std::path::Path::new("/scenarios/../v1")));
        let image = &scenario.images["registry.io/app:2"];
        assert_eq!(image.package, std::path::Path::new("/scenarios/../v3"));
        assert_eq!(scenario.actors[1].skip, 1);
        assert!(matches!(&scenario.actors[1].action, Action::Swap { target, .. } if target.is_production()));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = Scenario::from_yaml("app: shop\nworker: 2\n").expect_err("wrong key");
        assert!(error.message.contains("worker"), "{error}");
        assert_eq!(error.at.map(|(line, _)| line), Some(2));
        let error = Scenario::from_yaml("durations: {start: soon}").expect_err("no duration");
        assert!(error.message.contains("300ms"), "{error}");
        assert!(Scenario::from_yaml("workers: 0").is_err());
        assert!(Scenario::from_yaml("tier: Basic").is_err());
        assert!(Scenario::from_yaml("durations: {start: -1}").is_err());
        assert!(Scenario::from_yaml("durations: {start: 1e30}").is_err());
        assert!(Scenario::from_yaml("a: [").is_err());
        for actor in ["do: swap", "do: scale, workers: 3, slot: staging", "do: dance"] {
            let text = format!("actors: [{{after: deployed, {actor}}}]");
            assert!(Scenario::from_yaml(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_file_is_the_default_scenario() {
        let scenario = Scenario::from_yaml("# nothing\n\n").expect("empty");
        assert_eq!(scenario.app.as_str(), "contoso-web");
        assert_eq!(scenario.slot_names(), [SlotName::production(), staging()]);
        assert!(scenario.realistic().durations.swap_finish > Duration::from_secs(1));
    }
}
