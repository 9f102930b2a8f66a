//! The swap: sent once, its end learnt as soon as it is true.
//!
//! Owns the one request that changes production, and the waiting for its end by two
//! signals at once: the operation, at the pace it asks for, and the site's own swap
//! status, read cheaply. Must not judge what production serves.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::Release;
use super::journal::{Event, Journal, Learnt};
use super::machine::{Claim, Direction, MOST_TURNS};
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
/// How long a swap that is said to have failed is watched: Azure shows no running operation on a
/// site (seen-in-recordings 4), and operations were seen to go on behind an answer that ended them
/// (seen-in-recordings 19).
const WATCH_FAILED: Duration = Duration::from_secs(120);
/// The same where the platform says at which step of the warm-up it gave up: it is not going on.
const WATCH_WARM_UP: Duration = Duration::from_secs(20);
/// An operation that says that it failed is asked once more after this, and so often
/// where the second answer says nothing.
const ASKED_AGAIN: Duration = Duration::from_secs(1);
const SILENT_ANSWERS: u8 = 3;
/// How often a swap is asked for in all where the token was not accepted: it is renewed then.
const WITH_ANOTHER_TOKEN: u8 = 2;
/// The same where it never left this machine.
const WITH_A_CONNECTION: u8 = 6;
/// The same for a swap back that was refused for certain: production serves a bad build.
const BACK_IN_ALL: u8 = 3;

/// How a swap ended, as far as answers go.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What is claimed.
    pub claim: Claim,
    /// How it became known.
    pub learnt: Learnt,
    /// How often the swap may be asked for in all: Azure refused it, and both slots must be
    /// found as they were first.
    pub turns: u8,
    /// Why it failed or is unclear, and what to do.
    pub trouble: Option<(String, Vec<String>)>,
    /// How long a sign of it is watched for, though it is said to have failed.
    pub watch: Duration,
}

impl Ending {
    fn unclear(reason: String) -> Self {
        let trouble = Some((reason, Vec::new()));
        Self { claim: Claim::Unclear, learnt: Learnt::Answer, turns: 0, trouble, watch: WATCH_FAILED }
    }

    fn finished(learnt: Learnt) -> Self {
        Self { claim: Claim::Finished, learnt, turns: 0, trouble: None, watch: WATCH_FAILED }
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
                let wait = Wait::new(release, direction, before, started + limit);
                wait.until_the_end(location, retry_after).await
            }
            // 200 at once: done, seen for trivial swaps.
            Reading::Succeeded => Ending::finished(Learnt::Answer),
            Reading::Failed(refusal) => failed(Learnt::Answer, &refusal),
            // Accepted, in words that nobody understands: the site has to tell.
            unclear @ (Reading::Gone | Reading::Unclear(_)) => {
                let wait = Wait::new(release, direction, before, started + limit);
                wait.for_the_site(wait.deadline, unclear.words()).await
            }
        },
        Err(AzureError::Call { source: SendError::Unclear(why), doing }) => {
            // It may be under way: its end shows on the site, or does not come.
            let quiet = started + release.config.limits.settle.min(limit);
            let wait = Wait::new(release, direction, before, started + limit);
            wait.for_the_site(quiet, format!("could not {doing}: {why}")).await
        }
        Err(error) => refused(release, direction, &error),
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
    /// What kept the last look from telling anything.
    silence: Mutex<Option<String>>,
}

impl<'a> Wait<'a> {
    fn new(release: &'a Release<'a>, direction: Direction, before: &'a Before, deadline: Instant) -> Self {
        Self { release, direction, before, deadline, silence: Mutex::default() }
    }

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
            () = tokio::time::sleep_until(until) => {
                let why = self.silence.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ending::unclear(why.map_or(trouble.clone(), |why| format!("{trouble}; last of all: {why}")))
            }
        }
    }

    /// Asks the operation at the pace it wants. An answer that says nothing is no
    /// end: the operation may go on behind it, so only the other witness can end the wait.
    /// Nor is one word of failure: only an operation that says so twice, or is gone by
    /// then, has failed.
    async fn poll(&self, mut location: Url, mut retry_after: Option<Duration>) -> Ending {
        let mut failure = None;
        let mut silent = 0;
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
                    failure = None;
                }
                Reading::Succeeded => {
                    return Ending::finished(Learnt::Operation);
                }
                Reading::Failed(refusal) => {
                    if let Some(first) = failure.replace(refusal) {
                        return failed(Learnt::Operation, &first);
                    }
                    silent = 0;
                    retry_after = Some(ASKED_AGAIN);
                }
                unclear @ (Reading::Gone | Reading::Unclear(_)) => {
                    tracing::debug!(reason = unclear.words(), "an unclear poll");
                    self.keep(unclear.words());
                    silent += 1;
                    let ended = unclear == Reading::Gone || silent >= SILENT_ANSWERS;
                    if let Some(first) = failure.as_ref().filter(|_| ended) {
                        return failed(Learnt::Operation, first);
                    }
                    retry_after = failure.is_some().then_some(ASKED_AGAIN);
                }
            }
        }
    }

    fn keep(&self, why: String) {
        *self.silence.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Looks at production until its swap status is newer than before and its content
    /// has changed sides: then the swap has ended.
    async fn watch_site(&self) -> Ending {
        let mut pause = FIRST_LOOK;
        loop {
            tokio::time::sleep(pause).await;
            pause = if pause < LATER_LOOK { pause + FIRST_LOOK } else { LATER_LOOK };
            let site = match self.release.azure.glance(self.release.path, &SlotName::production()).await {
                Ok(site) => site,
                Err(error) => {
                    self.keep(error.to_string());
                    continue;
                }
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

/// The answer to the request itself says that nothing was begun.
fn refused(release: &Release<'_>, direction: Direction, error: &AzureError) -> Ending {
    let words = error.to_string();
    let status = error.status().unwrap_or_default();
    if status == 401 {
        release.azure.credential().forget();
    }
    let not_sent = matches!(error, AzureError::Call { source: SendError::NotSent { .. }, .. });
    let turns = match (turns(status, &words), status, direction) {
        _ if not_sent => WITH_A_CONNECTION,
        (0, 401, _) => WITH_ANOTHER_TOKEN,
        (0, 400..=499, Direction::Back) => BACK_IN_ALL,
        (turns, ..) => turns,
    };
    let trouble = Some((words, help_for(error)));
    Ending { claim: Claim::Refused, learnt: Learnt::Answer, turns, trouble, watch: WATCH_FAILED }
}

fn failed(learnt: Learnt, refusal: &crate::http::Refusal) -> Ending {
    let words = refusal.to_string().to_ascii_lowercase();
    let warm_up_failed = WARM_UP.iter().any(|(failed, _)| words.contains(failed));
    Ending {
        claim: Claim::Failed,
        learnt,
        turns: turns(refusal.status, &refusal.to_string()),
        trouble: Some((format!("the swap failed: {refusal}"), swap_help(&refusal.to_string()))),
        watch: if warm_up_failed { WATCH_WARM_UP } else { WATCH_FAILED },
    }
}

fn help_for(error: &AzureError) -> Vec<String> {
    let specific = swap_help(&error.to_string());
    if specific.is_empty() { error.help() } else { specific }
}

/// How often a swap is asked for in all after this answer. There are some with which Azure puts
/// it off instead of refusing it for good (arm-app-service §9, and 429 of §15): nothing of it was
/// carried out, or all was undone.
fn turns(status: u16, text: &str) -> u8 {
    let text = text.to_ascii_lowercase();
    let words = ["another operation is in progress", "allocation of vm instances", "exclusive lock"];
    let is_put_off =
        status == 429 || (400..500).contains(&status) && words.iter().any(|words| text.contains(words));
    if is_put_off { MOST_TURNS } else { 0 }
}

/// The platform's words for a warm-up that failed, and the remedies (arm-app-service §9).
const WARM_UP: [(&str, &str); 3] = [
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
];

/// Known refusals of a swap and their remedies (arm-app-service §9).
fn swap_help(text: &str) -> Vec<String> {
    let text = text.to_ascii_lowercase();
    let help = [
        ("allocation of vm instances", "the plan was scaled during the swap: run again"),
        (
            "another operation is in progress",
            "another swap or deployment is under way on the app: wait for its end, then run again",
        ),
        ("prepared for swap", "a swap with preview is pending: complete or cancel it first"),
        ("site authentication enabled", "swap with preview cannot be used with App Service authentication"),
        ("exclusive lock", "another change of the site or its plan is under way: run again"),
    ];
    WARM_UP
        .iter()
        .chain(&help)
        .filter(|(words, _)| text.contains(words))
        .map(|(_, help)| (*help).to_owned())
        .collect()
}
