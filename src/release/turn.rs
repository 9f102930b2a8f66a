//! Waits for the turn of a swap that Azure put off because something else was under way.
//!
//! Owns the pauses and the reading that must find both slots as they were. Must not send
//! anything but reads: whether the swap is asked for again is the table's to say.

use std::time::Duration;

use tokio::time::Instant;

use super::last_look::{self, Forbidden};
use super::machine::{Direction, Serving};
use super::observe::{self, Before};
use super::{Release, State};
use crate::release::journal::{Event, Journal};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Waits, and says whether the swap may be asked for again. What was read by then is
/// what the next answer will be compared with.
pub(super) async fn came(
    release: &Release<'_>,
    state: &mut State,
    direction: Direction,
    asked: u8,
    journal: &mut Journal<'_>,
) -> bool {
    let limit = release.config.limits.swap;
    let deadline = *state.turn_ends.get_or_insert_with(|| Instant::now() + limit);
    let left = deadline.saturating_duration_since(Instant::now());
    journal.add(Event::Waiting { what: "the end of what is under way on Azure".to_owned(), limit: left });
    let mut pause = (FIRST_PAUSE * 2_u32.pow(u32::from(asked.clamp(1, 6) - 1))).min(LONGEST_PAUSE);
    loop {
        if Instant::now() + pause >= deadline {
            journal.fail(
                format!("the swap's turn did not come within {} s: {}", limit.as_secs(), state.put_off),
                vec![
                    "wait for the end of what is under way, or raise limits.swap; then run again".to_owned(),
                ],
            );
            return false;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match look(release, &state.before, direction).await {
            Ok(before) => {
                state.before = before;
                return true;
            }
            Err(Forbidden::Busy(_)) => {}
            Err(moved @ Forbidden::Moved(_)) => {
                journal.fail(moved, vec!["look at both slots: slotway status".to_owned()]);
                return false;
            }
        }
    }
}

/// Whether both slots are as they were, before a swap of this direction.
pub(super) async fn look(
    release: &Release<'_>,
    before: &Before,
    direction: Direction,
) -> Result<Before, Forbidden> {
    match direction {
        Direction::Forward => last_look::last_look(release, before).await,
        Direction::Back => look_at_both(release, before).await,
    }
}

/// Before a swap back: production serves the new build still, the other slot the old one.
async fn look_at_both(release: &Release<'_>, before: &Before) -> Result<Before, Forbidden> {
    let seen = observe::read_both(release, before).await;
    if seen.busy || seen.deploying.is_some() || seen.serving == Serving::Unknown {
        return Err(Forbidden::Busy("an operation is under way".to_owned()));
    }
    if seen.serving != Serving::New || seen.staging_serves != Serving::Old {
        let (production, staging) = (&seen.production, &seen.staging);
        return Err(format!("meanwhile production serves {production}, the other slot {staging}").into());
    }
    Ok(Before { last_swap: seen.last_swap, ..before.clone() })
}
