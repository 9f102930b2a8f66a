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
    /// Whether time runs or is stepped.
    pub time: TimeMode,
    /// The slots; production and staging exist in any case.
    pub slots: BTreeMap<SlotName, SlotSeed>,
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

/// Someone else who acts on the same site: the portal, a second pipeline.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Actor {
    /// When this is reached …
    pub after: Milestone,
    /// … so many times before (0: the first time) …
    #[serde(default)]
    pub skip: usize,
    /// … and so much later …
    #[serde(default, with = "duration")]
    pub delay: Duration,
    /// … this is done, once.
    #[serde(rename = "do")]
    pub action: Action,
}

/// What an actor does.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Swaps.
    Swap {
        /// The slot in the path.
        source: SlotName,
        /// The slot in the body; production unless said.
        #[serde(default = "SlotName::production")]
        target: SlotName,
    },
    /// Deploys.
    Deploy {
        /// Where.
        slot: SlotName,
        /// What: a folder or a zip.
        package: PathBuf,
    },
    /// Restarts.
    Restart {
        /// What.
        slot: SlotName,
    },
    /// Stops.
    Stop {
        /// What.
        slot: SlotName,
    },
    /// Writes app settings, leaving the others as they are.
    Settings {
        /// Where.
        slot: SlotName,
        /// What.
        set: BTreeMap<String, String>,
    },
    /// Scales the plan.
    Scale {
        /// To so many machines.
        workers: usize,
    },
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

impl Scenario {
    /// The slots to create: those named, and production and staging.
    pub fn slot_names(&self) -> Vec<SlotName> {
        unimplemented!()
    }

    /// The durations that Azure shows.
    pub fn realistic(self) -> Self {
        unimplemented!()
    }

    /// Reads a scenario from YAML.
    ///
    /// # Errors
    ///
    /// What is wrong, with line and column.
    pub fn from_yaml(text: &str) -> Result<Self, ScenarioError> {
        let _ = text;
        unimplemented!()
    }

    /// Makes relative paths relative to this folder.
    pub fn relative_to(&mut self, folder: &std::path::Path) {
        let _ = folder;
        unimplemented!()
    }
}

impl Default for Scenario {
    fn default() -> Self {
        unimplemented!()
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

/// Durations as `300ms`, `2s`, `10m`, `1h`, or a bare number of seconds.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer};

    /// Reads a duration.
    ///
    /// # Errors
    ///
    /// Not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let _ = String::deserialize(deserializer)?;
        unimplemented!()
    }
}
