//! The last look before a swap: whatever an approval, a check or another pipeline took, what is
//! swapped is what was proven.
//!
//! Owns what forbids the swap at the last moment. Azure has no lock between a look and a swap, so
//! the look is repeated until it was quick.

use std::time::Duration;

use tokio::time::Instant;

use super::Release;
use super::observe::Before;
use crate::azure::credential::ENOUGH_TIME_LEFT;
use crate::clock;
use crate::facts::{self, Build, SlotFacts};

/// How long the reading of a slot may take from its first request to its last answer: what was
/// read before may have moved since.
const FRESH: Duration = Duration::from_secs(8);
/// How long a look that is quick enough is tried for.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How much longer than its requests a look may take, so that their own words are heard.
const LEEWAY: Duration = Duration::from_secs(1);

/// Why the swap may not be sent.
#[derive(Debug, thiserror::Error)]
pub enum Forbidden {
    /// Something else is under way, and will end.
    #[error("{0}")]
    Busy(String),
    /// Something is not as it was.
    #[error("{0}")]
    Moved(String),
}

impl From<String> for Forbidden {
    fn from(reason: String) -> Self {
        Self::Moved(reason)
    }
}

/// Staging serves this build, production still the old one, nobody else is at work, and the
/// sign-in lasts for a swap and a rollback.
///
/// # Errors
///
/// What forbids the swap, in words.
pub async fn last_look(release: &Release<'_>, before: &Before) -> Result<Before, Forbidden> {
    let credential = release.azure.credential();
    let token = credential.token().await.map_err(|error| error.to_string())?;
    if token.expires_on - clock::now() < ENOUGH_TIME_LEFT {
        credential.forget();
        credential.token().await.map_err(|error| error.to_string())?;
    }
    let (production, staging) = look(release).await?;
    judge(before, release.plan.swaps, production, &staging)
}

/// Both slots as they are now: staging last, for it is what would be swapped in.
async fn look(release: &Release<'_>) -> Result<(SlotFacts, SlotFacts), String> {
    let known = &release.facts;
    let Some(staging) = &known.staging else { return Err(format!("there is no slot {}", release.staging)) };
    let deadline = Instant::now() + PATIENCE;
    // What could be read before is asked for again while there is time.
    let told = |now: &SlotFacts, before: &SlotFacts| is_recorded(now) || !is_recorded(before);
    let mut pause = PAUSE;
    loop {
        let production = read(release, &known.production).await;
        let slots = match production {
            Ok(production) if told(&production, &known.production) || Instant::now() >= deadline => {
                read(release, staging).await.map(|staging| (production, staging))
            }
            Ok(_) => Err("production's deployment record could not be read".to_owned()),
            Err(why) => Err(why),
        };
        match slots {
            Ok(slots) if told(&slots.1, staging) || Instant::now() >= deadline => return Ok(slots),
            Err(why) if Instant::now() >= deadline => {
                return Err(format!("the slots could not be read in time before the swap: {why}"));
            }
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_recorded(slot: &SlotFacts) -> bool {
    !matches!(slot.build, Build::Unreadable(_))
}

/// One slot, quickly or not at all.
async fn read(release: &Release<'_>, slot: &SlotFacts) -> Result<SlotFacts, String> {
    let ends = Instant::now() + FRESH;
    let azure = release.azure.until(ends);
    let read = facts::read_known_slot(&azure, release.path, slot);
    match tokio::time::timeout_at(ends + LEEWAY, read).await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", FRESH.as_secs())),
    }
}

fn judge(
    before: &Before,
    swaps: bool,
    production: SlotFacts,
    staging: &SlotFacts,
) -> Result<Before, Forbidden> {
    if let Build::Unreadable(why) = &staging.build {
        return Err(format!("which build {} serves could not be read: {why}", staging.slot).into());
    }
    if !staging.build.is(&before.new) {
        return Err(format!("{} serves {}, not {}", staging.slot, staging.build, before.new).into());
    }
    let comparable =
        ![&production.build, &before.old].iter().any(|build| matches!(build, Build::Unreadable(_)));
    if comparable && !production.build.is(&before.old) {
        return Err(format!(
            "production serves {}, and served {} when this began: somebody else was at work",
            production.build, before.old
        )
        .into());
    }
    if swaps && !comparable && production.content_id.is_none() {
        return Err("nothing tells which build production serves, so no swap could be verified"
            .to_owned()
            .into());
    }
    let busy = [&production, staging].into_iter().find(|slot| slot.operation.is_some());
    if let Some(operation) = busy.and_then(|slot| slot.operation.as_ref()) {
        return Err(Forbidden::Busy(format!("an operation is under way: {operation}")));
    }
    if let Some(id) = &staging.deploying {
        return Err(Forbidden::Busy(format!("a deployment is under way in {}: {id}", staging.slot)));
    }
    for slot in [&production, staging] {
        if let Some(with) = &slot.prepared_with {
            let name = &slot.slot;
            return Err(format!("{name} has been prepared for a swap with {with} in the meantime").into());
        }
    }
    // Silence of the record takes no name away: should it be another build by now, a later
    // reading of the record finds a stranger's.
    let old = match production.build {
        Build::Unreadable(_) => before.old.clone(),
        read => read,
    };
    Ok(Before {
        old,
        new: staging.build.clone(),
        old_content: production.content_id,
        new_content: staging.content_id.clone(),
        last_swap: production.last_swap,
    })
}
