//! The swap: sent once, its end learnt as soon as it is true.
//!
//! Owns the one request that changes production, and the waiting for its end by two
//! signals at once: the operation, at the pace it asks for, and the site's own swap
//! status, read cheaply. Must not judge what production serves.

use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::Release;
use super::journal::{Event, Journal, Learnt};
use super::machine::{Claim, Direction};
use super::observe::Before;
use crate::azure::AzureError;
use crate::azure::operation::{self, Reading};
use crate::http::SendError;
use crate::names::SlotName;

/// What every Azure client waits where the server says nothing (arm-app-service §6).
const POLL_PAUSE: Duration = Duration::from_secs(15);
/// Pauses between looks at the site: often while a swap may be short.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LATER_LOOK: Duration = Duration::from_millis(800);

/// How a swap ended, as far as answers go.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What is claimed.
    pub claim: Claim,
    /// How it became known.
    pub learnt: Learnt,
    /// Whether Azure refused it only because something else is under way.
    pub put_off: bool,
    /// Why it failed or is unclear, and what to do.
    pub trouble: Option<(String, Vec<String>)>,
}

impl Ending {
    fn unclear(reason: String) -> Self {
        Self {
            claim: Claim::Unclear,
            learnt: Learnt::Answer,
            put_off: false,
            trouble: Some((reason, Vec::new())),
        }
    }

    fn finished(learnt: Learnt) -> Self {
        Self { claim: Claim::Finished, learnt, put_off: false, trouble: None }
    }
}

/// Swaps and waits for the end. Whatever comes back, the next thing to do is to observe.
pub async fn swap(
    release: &Release<'_>,
    direction: Direction,
    before: &Before,
    limit: Duration,
    journal: &mut Journal<'_>,
) -> Ending {
    let started = Instant::now();
    journal.add(Event::SwapSent { direction });
    let production = SlotName::production();
    let ending = match release.azure.swap(release.path, &release.staging, &production).await {
        Ok(answer) => match operation::read(&answer) {
            Reading::Running { location, retry_after } => {
                let wait = Wait { release, direction, before, deadline: started + limit };
                wait.until_the_end(location, retry_after).await
            }
            // 200 at once: done, seen for trivial swaps.
            Reading::Succeeded => Ending::finished(Learnt::Answer),
            Reading::Failed(refusal) => failed(Learnt::Answer, &refusal),
            // Accepted, in words that nobody understands: the site has to tell.
            Reading::Unclear(reason) => {
                let wait = Wait { release, direction, before, deadline: started + limit };
                wait.for_the_site(wait.deadline, reason).await
            }
        },
        Err(AzureError::Call { source: SendError::Unclear(why), doing }) => {
            // It may be under way: its end shows on the site, or does not come.
            let quiet = started + release.config.limits.settle.min(limit);
            let wait = Wait { release, direction, before, deadline: started + limit };
            wait.for_the_site(quiet, format!("could not {doing}: {why}")).await
        }
        Err(error) => Ending {
            claim: Claim::Failed,
            learnt: Learnt::Answer,
            put_off: error.status().is_some_and(|status| is_put_off(status, &error.to_string())),
            trouble: Some((error.to_string(), help_for(&error))),
        },
    };
    journal.add(Event::SwapEnded {
        direction,
        claim: ending.claim,
        learnt: ending.learnt,
        elapsed: started.elapsed(),
    });
    ending
}

struct Wait<'a> {
    release: &'a Release<'a>,
    direction: Direction,
    before: &'a Before,
    deadline: Instant,
}

impl Wait<'_> {
    async fn until_the_end(&self, location: Option<Url>, retry_after: Option<Duration>) -> Ending {
        let late = "the swap had not ended when its limit was over; it was not cancelled";
        let Some(location) = location else {
            // 202 without a place to ask: the site itself has to tell.
            return self.for_the_site(self.deadline, late.to_owned()).await;
        };
        tokio::select! {
            biased;
            ending = self.poll(location, retry_after) => ending,
            ending = self.for_the_site(self.deadline, late.to_owned()) => ending,
        }
    }

    /// Waits for the site's own swap status alone. Azure shows no running operation
    /// on the site (seen-in-recordings 4), so silence until the end proves nothing.
    async fn for_the_site(&self, until: Instant, trouble: String) -> Ending {
        tokio::select! {
            biased;
            ending = self.watch_site() => ending,
            () = tokio::time::sleep_until(until) => Ending::unclear(trouble),
        }
    }

    /// Asks the operation at the pace it wants. An answer that says nothing is no
    /// end: the operation may go on behind it, so only the other witness can end the wait.
    async fn poll(&self, mut location: Url, mut retry_after: Option<Duration>) -> Ending {
        loop {
            tokio::time::sleep(retry_after.unwrap_or(POLL_PAUSE)).await;
            let reading = match self.release.azure.poll(&location).await {
                Ok(answer) => operation::read(&answer),
                Err(error) => Reading::Unclear(error.to_string()),
            };
            match reading {
                Reading::Running { location: next, retry_after: wish } => {
                    location = next.unwrap_or(location);
                    retry_after = wish;
                }
                Reading::Succeeded => {
                    return Ending::finished(Learnt::Operation);
                }
                Reading::Failed(refusal) => return failed(Learnt::Operation, &refusal),
                Reading::Unclear(reason) => {
                    tracing::debug!(reason, "an unclear poll");
                    retry_after = None;
                }
            }
        }
    }

    /// Looks at production until its swap status is newer than before and its content
    /// has changed sides: then the swap has ended.
    async fn watch_site(&self) -> Ending {
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            pause = if pause < LATER_LOOK { pause + FIRST_LOOK } else { LATER_LOOK };
            let Ok(site) = self.release.azure.glance(self.release.path, &SlotName::production()).await else {
                continue;
            };
            let status = site.properties.slot_swap_status;
            // Another slot's swap with production is none of ours (arm-app-service §3).
            let ours = status.as_ref().is_some_and(|status| {
                status.source_slot_name.eq_ignore_ascii_case(self.release.staging.as_str())
                    && status.destination_slot_name.eq_ignore_ascii_case("production")
            });
            let newer = ours && status != self.before.last_swap;
            let wanted = match self.direction {
                Direction::Forward => super::machine::Serving::New,
                Direction::Back => super::machine::Serving::Old,
            };
            let content = self.before.by_content(site.properties.deployment_id.as_deref());
            if newer && content.is_none_or(|serving| serving == wanted) {
                return Ending::finished(Learnt::SiteStatus);
            }
        }
    }
}

fn failed(learnt: Learnt, refusal: &crate::http::Refusal) -> Ending {
    Ending {
        claim: Claim::Failed,
        learnt,
        put_off: is_put_off(refusal.status, &refusal.to_string()),
        trouble: Some((format!("the swap failed: {refusal}"), swap_help(&refusal.to_string()))),
    }
}

fn help_for(error: &AzureError) -> Vec<String> {
    let specific = swap_help(&error.to_string());
    if specific.is_empty() { error.help() } else { specific }
}

/// The answers with which Azure puts a swap off instead of refusing it for good
/// (arm-app-service §9, and 429 of §15): nothing of it was carried out, or all was undone.
fn is_put_off(status: u16, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words = ["another operation is in progress", "allocation of vm instances", "exclusive lock"];
    status == 429 || (400..500).contains(&status) && words.iter().any(|words| text.contains(words))
}

/// Known refusals of a swap and their remedies (arm-app-service §9).
fn swap_help(text: &str) -> Vec<String> {
    let text = text.to_ascii_lowercase();
    let help = [
        (
            "did not respond to http ping",
            "the slot did not answer the platform's warm-up over plain HTTP: look at WEBSITE_SWAP_WARMUP_PING_PATH, HTTPS-only redirects and the container log",
        ),
        (
            "worker process",
            "the app crashed at its start with production's slot settings: look at the container log",
        ),
        (
            "warmup requests",
            "the app starts too slowly: raise WEBSITES_CONTAINER_START_TIME_LIMIT or make it start faster",
        ),
        ("allocation of vm instances", "the plan was scaled during the swap: run again"),
        (
            "another operation is in progress",
            "another swap or deployment is under way on the app: wait for its end, then run again",
        ),
        ("prepared for swap", "a swap with preview is pending: complete or cancel it first"),
        ("site authentication enabled", "swap with preview cannot be used with App Service authentication"),
        ("exclusive lock", "another change of the site or its plan is under way: run again"),
    ];
    help.iter().filter(|(words, _)| text.contains(words)).map(|(_, help)| (*help).to_owned()).collect()
}
