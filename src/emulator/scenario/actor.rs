//! Who else acts on the same site while a release runs.
//!
//! Owns the shape of an actor in the file. What it does is the world's to carry out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Milestone, duration};
use crate::names::SlotName;

/// Someone else who acts on the same site: the portal, a second pipeline. In the file its action lies
/// flat: `{after: swap-accepted, do: scale, workers: 3}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FlatActor")]
pub struct Actor {
    /// When this is reached …
    pub after: Milestone,
    /// … so many times before (0: the first time) …
    pub skip: usize,
    /// … and so much later …
    pub delay: Duration,
    /// … this is done, once.
    pub action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FlatActor {
    after: Milestone,
    #[serde(default)]
    skip: usize,
    #[serde(default, with = "duration")]
    delay: Duration,
    #[serde(rename = "do")]
    action: ActionName,
    slot: Option<SlotName>,
    source: Option<SlotName>,
    target: Option<SlotName>,
    package: Option<PathBuf>,
    set: Option<BTreeMap<String, String>>,
    workers: Option<usize>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActionName {
    Swap,
    Deploy,
    Restart,
    Stop,
    Settings,
    Scale,
    RestartScm,
}

impl TryFrom<FlatActor> for Actor {
    type Error = String;

    fn try_from(mut flat: FlatActor) -> Result<Self, String> {
        fn need<T>(value: &mut Option<T>, name: &str) -> Result<T, String> {
            value.take().ok_or_else(|| format!("the actor needs `{name}`"))
        }
        let action = match flat.action {
            ActionName::Swap => Action::Swap {
                source: need(&mut flat.source, "source")?,
                target: flat.target.take().unwrap_or_else(SlotName::production),
            },
            ActionName::Deploy => Action::Deploy {
                slot: need(&mut flat.slot, "slot")?,
                package: need(&mut flat.package, "package")?,
            },
            ActionName::Restart => Action::Restart { slot: need(&mut flat.slot, "slot")? },
            ActionName::Stop => Action::Stop { slot: need(&mut flat.slot, "slot")? },
            ActionName::Settings => {
                Action::Settings { slot: need(&mut flat.slot, "slot")?, set: need(&mut flat.set, "set")? }
            }
            ActionName::RestartScm => Action::RestartScm { slot: need(&mut flat.slot, "slot")? },
            ActionName::Scale => Action::Scale { workers: need(&mut flat.workers, "workers")? },
        };
        let left = [
            ("slot", flat.slot.is_some()),
            ("source", flat.source.is_some()),
            ("target", flat.target.is_some()),
            ("package", flat.package.is_some()),
            ("set", flat.set.is_some()),
            ("workers", flat.workers.is_some()),
        ];
        if let Some((name, _)) = left.iter().find(|(_, given)| *given) {
            return Err(format!("the actor's action does not take `{name}`"));
        }
        Ok(Self { after: flat.after, skip: flat.skip, delay: flat.delay, action })
    }
}

/// What an actor does. As JSON for the control endpoint: `{"scale": {"workers": 3}}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Restarts Kudu alone, as the platform does when it moves the site; a running deployment dies
    /// (kudu-deploy.md §5).
    RestartScm {
        /// Whose.
        slot: SlotName,
    },
}
