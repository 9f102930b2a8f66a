//! Which build does production serve? Read from Azure until it can be told.
//!
//! Owns the comparison of what is read now with what was read before. Must not send
//! anything but reads.

use std::time::Duration;

use tokio::time::Instant;

use super::Release;
use super::machine::Serving;
use crate::azure::ResourceManager;
use crate::azure::model::{Site, SlotSwapStatus};
use crate::facts::{self, Build};
use crate::names::SlotName;

/// Pause between two reads.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long any answer is waited for within one reading.
const READING_PATIENCE: Duration = Duration::from_secs(10);
/// How much longer than its requests a reading may take, so that their own words are heard.
const LEEWAY: Duration = Duration::from_millis(250);

/// What was read before production could change.
#[derive(Debug, Clone)]
pub struct Before {
    /// The build to go back to.
    pub old: Build,
    /// The new build.
    pub new: Build,
    /// ARM's word for the old build's content.
    pub old_content: Option<String>,
    /// ARM's word for the content where the new build was last seen; none before the last look.
    pub new_content: Option<String>,
    /// The last finished swap, as production had it.
    pub last_swap: Option<SlotSwapStatus>,
}

impl Before {
    /// Which build it is, by the deployment record, or by ARM's content id where the
    /// record cannot be read. Where both can be read and disagree, it is not known:
    /// a swap may be half way through.
    pub fn compare(&self, build: &Build, content: Option<&str>) -> Serving {
        let by_build = match build {
            Build::Unreadable(_) => None,
            build if build.is(&self.new) && !build.is(&self.old) => Some(Serving::New),
            build if build.is(&self.old) => Some(Serving::Old),
            // It may be the one that could not be read before: the content id has to tell.
            _ if self.has_unread() => None,
            _ => Some(Serving::Other),
        };
        match (by_build, self.by_content(content)) {
            (Some(build), Some(content)) if build == content || build == Serving::Other => build,
            (Some(build), None) => build,
            (None, Some(content)) => content,
            _ => Serving::Unknown,
        }
    }

    fn has_unread(&self) -> bool {
        [&self.old, &self.new].iter().any(|build| matches!(build, Build::Unreadable(_)))
    }

    /// Content ids tell which side lies here, and only where the sides differ. They do not
    /// change with a deployment: what lay on a side must have been read before.
    pub fn by_content(&self, content: Option<&str>) -> Option<Serving> {
        let (old, new, now) = (self.old_content.as_deref(), self.new_content.as_deref(), content?);
        match () {
            () if old == new => None,
            () if new == Some(now) => Some(Serving::New),
            () if old == Some(now) => Some(Serving::Old),
            () => None,
        }
    }
}

/// What was read of both slots.
#[derive(Debug, Clone)]
pub struct Observation {
    /// What production serves, compared with before.
    pub serving: Serving,
    /// What production serves.
    pub production: Build,
    /// What the other slot serves.
    pub staging: Build,
    /// The same, compared with before.
    pub staging_serves: Serving,
    /// The last finished swap, as production has it.
    pub last_swap: Option<SlotSwapStatus>,
    /// Whether an operation is still under way.
    pub busy: bool,
    /// A deployment under way in the other slot.
    pub deploying: Option<String>,
    /// One under way in production.
    pub deploying_here: Option<String>,
    /// Why something could not be read.
    pub trouble: Option<String>,
}

impl Observation {
    /// Whether production's own record was read.
    pub fn is_recorded(&self) -> bool {
        !matches!(self.production, Build::Unreadable(_))
    }

    fn nothing(trouble: String) -> Self {
        let unread = Build::Unreadable(trouble.clone());
        Self {
            serving: Serving::Unknown,
            production: unread.clone(),
            staging: unread,
            staging_serves: Serving::Unknown,
            last_swap: None,
            busy: false,
            deploying: None,
            deploying_here: None,
            trouble: Some(trouble),
        }
    }
}

/// When a reading is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Production's build can be told.
    Told,
    /// It is this one.
    Serves(Serving),
    /// It can be told by its own record. A content id stays what it is when somebody
    /// deploys straight to production.
    Recorded,
}

impl Until {
    fn is_met(self, observation: &Observation) -> bool {
        match (self, observation.serving) {
            (_, Serving::Other) => true,
            (Self::Told, serving) => serving != Serving::Unknown,
            (Self::Serves(wanted), serving) => serving == wanted,
            (Self::Recorded, serving) => serving != Serving::Unknown && observation.is_recorded(),
        }
    }
}

/// Reads until that is enough and nothing is under way, or until the deadline, when the
/// last reading counts if it was made then: what was true before may have moved since.
pub async fn observe(release: &Release<'_>, before: &Before, until: Until, settle: Duration) -> Observation {
    let deadline = Instant::now() + settle;
    let mut pause = PAUSE;
    loop {
        // A call's own patience must not outlast the wait.
        let observation = read_until(release, before, deadline).await;
        if until.is_met(&observation) && !observation.busy || Instant::now() + pause >= deadline {
            return observation;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One reading of both slots, as long as it takes.
pub async fn read_both(release: &Release<'_>, before: &Before) -> Observation {
    read_with(release.azure, release, before).await
}

/// One reading of both slots; nothing of it outlasts the deadline.
pub async fn read_until(release: &Release<'_>, before: &Before, deadline: Instant) -> Observation {
    let azure = release.azure.until(deadline);
    let read = tokio::time::timeout_at(deadline + LEEWAY, read_with(&azure, release, before));
    read.await.unwrap_or_else(|_| Observation::nothing("Azure did not answer in time".to_owned()))
}

async fn read_with(azure: &ResourceManager, release: &Release<'_>, before: &Before) -> Observation {
    // Signing in may take its time; whether it did shows at the first request.
    let _ = azure.credential().token().await;
    // What was read first is as old as the last answer: a reading that is not quick is made again.
    let ends = Instant::now() + READING_PATIENCE;
    let azure = &azure.until(ends);
    let production_name = SlotName::production();
    let both = async {
        tokio::join!(read(azure, release, &production_name), read(azure, release, &release.staging))
    };
    let Ok((production, staging)) = tokio::time::timeout_at(ends + LEEWAY, both).await else {
        return Observation::nothing("Azure did not answer in time".to_owned());
    };
    let (site, production, deploying_here) = match production {
        Ok(found) => found,
        Err(trouble) => return Observation::nothing(trouble),
    };
    let serving = before.compare(&production, site.properties.deployment_id.as_deref());
    let last_swap = site.properties.slot_swap_status.clone();
    let (busy_there, staging, staging_serves, deploying, trouble) = match staging {
        Ok((slot, build, deploying)) => {
            let serves = before.compare(&build, slot.properties.deployment_id.as_deref());
            (slot.properties.in_progress_operation_id.is_some(), build, serves, deploying, None)
        }
        Err(trouble) => (false, Build::Unreadable(trouble.clone()), Serving::Unknown, None, Some(trouble)),
    };
    let trouble = trouble.or_else(|| match &production {
        Build::Unreadable(why) => Some(why.clone()),
        _ => None,
    });
    let busy = busy_there || site.properties.in_progress_operation_id.is_some();
    Observation {
        serving,
        production,
        staging,
        staging_serves,
        last_swap,
        busy,
        deploying,
        deploying_here,
        trouble,
    }
}

/// A slot and its build. Where its SCM site is silent ARM's content id tells as well.
async fn read(
    azure: &ResourceManager,
    release: &Release<'_>,
    slot: &SlotName,
) -> Result<(Site, Build, Option<String>), String> {
    let (site, config) = tokio::join!(azure.site(release.path, slot), azure.web_config(release.path, slot));
    let site = site.map_err(|error| error.to_string())?;
    let config = match config {
        Ok(config) => config,
        Err(error) => return Ok((site, Build::Unreadable(error.to_string()), None)),
    };
    let instance = release.facts.production.instances.first().map(String::as_str);
    let (build, deploying) = facts::read_build(azure, &site, &config, instance).await;
    Ok((site, build, deploying))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ReleaseId;

    fn deployment(id: &str) -> Build {
        Build::Deployment(ReleaseId::new(id).expect("well formed"))
    }

    fn before() -> Before {
        Before {
            old: deployment("old"),
            new: deployment("new"),
            old_content: Some("site".to_owned()),
            new_content: Some("site__1a2b".to_owned()),
            last_swap: None,
        }
    }

    #[test]
    fn the_record_and_the_content_id_must_agree() {
        let before = before();
        assert_eq!(before.compare(&deployment("new"), Some("site__1a2b")), Serving::New);
        assert_eq!(before.compare(&deployment("old"), Some("site")), Serving::Old);
        assert_eq!(before.compare(&deployment("new"), Some("site")), Serving::Unknown);
        assert_eq!(before.compare(&deployment("third"), Some("site")), Serving::Other);
    }

    #[test]
    fn a_build_that_could_not_be_read_before_is_no_stranger_now() {
        let before = Before { old: Build::Unreadable("403".to_owned()), ..before() };
        assert_eq!(before.compare(&deployment("old"), Some("site")), Serving::Old);
        assert_eq!(before.compare(&deployment("old"), None), Serving::Unknown);
        assert_eq!(before.compare(&deployment("new"), Some("site__1a2b")), Serving::New);
    }

    #[test]
    fn a_content_id_names_no_build_that_was_not_read_just_before() {
        let unread = Build::Unreadable("no SCM".to_owned());
        let before = Before { new_content: None, ..before() };
        assert_eq!(before.compare(&unread, Some("site__1a2b")), Serving::Unknown);
        assert_eq!(before.compare(&deployment("new"), Some("site__1a2b")), Serving::New);
    }

    #[test]
    fn one_of_them_is_enough_when_the_other_cannot_be_read() {
        let unread = Build::Unreadable("no SCM".to_owned());
        assert_eq!(before().compare(&unread, Some("site__1a2b")), Serving::New);
        assert_eq!(before().compare(&deployment("old"), None), Serving::Old);
        assert_eq!(before().compare(&unread, None), Serving::Unknown);
        assert_eq!(before().compare(&unread, Some("site__ffff")), Serving::Unknown);
    }
}
