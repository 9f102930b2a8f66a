//! Schedules drawn by chance: several faults, other people at work on the same app, clocks
//! that are wrong, tokens that end early, apps that never start, a death, a rival.
//!
//! Owns the drawing. The same seed draws the same schedule, and its course differs at most by the
//! instants at which files are read; a seed that fails says how it is run again.

use std::time::Duration;

use super::chance::Chance;
use super::door::{Boundary, End, Point, Target, Trouble};
use super::fault;
use super::matrix::{AFTERWARDS, Wrong, on_all_processors, unless_it_panics};
use super::{
    BEGINNING, Client, Finished, Order, Ran, Simulation, brisk, packages, scenario, simulate_with_clock,
    truth,
};
use crate::emulator::scenario::{Action, Scenario};
use crate::emulator::world::SlotRef;
use crate::names::{SiteName, SlotName};
use crate::plan::Verb;
use crate::release::machine::Outcome;

/// So many seeds unless SLOTWAY_SEEDS says how many.
const SEEDS: u64 = 400;
/// Run in any case: each once drew a schedule that ended in a lie.
const ONCE_WRONG: [u64; 6] = [832, 1525, 3765, 5530, 7289, 9056];
/// The time in which others act and a rival begins.
const BUSY_TIME: Duration = Duration::from_secs(60);

/// What somebody else does.
#[derive(Debug, Clone)]
enum Deed {
    World(Action),
    Preview,
    CancelPreview,
    EndTokens,
}

/// Everything that is drawn.
#[derive(Debug)]
struct Schedule {
    scenario: Scenario,
    skew: time::Duration,
    version: &'static str,
    by_two_verbs: bool,
    troubles: Vec<(Target, &'static str, Trouble)>,
    deeds: Vec<(Duration, Deed)>,
    end: Option<(usize, Boundary, End)>,
    rival: Option<Duration>,
    after: Verb,
}

impl Schedule {
    fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let chance = &mut chance;
        let troubles = (0..chance.below(6)).map(|_| trouble(chance)).collect();
        let others = if chance.percent(40) { 1 + chance.below(3) } else { 0 };
        let deeds = (0..others).map(|_| (chance.between(Duration::ZERO, BUSY_TIME), deed(chance))).collect();
        let skew =
            if chance.percent(25) { i64::try_from(chance.below(14_400)).unwrap_or(0) - 7200 } else { 0 };
        let boundaries = [Boundary::BeforeSent, Boundary::CarriedOut, Boundary::Answered];
        let ends = [End::Death, End::Signal];
        let dies = chance.percent(25);
        let end = (chance.below(200), *chance.one(&boundaries), *chance.one(&ends));
        let rivals = chance.percent(15);
        let offset =
            if chance.percent(50) { Duration::ZERO } else { chance.between(Duration::ZERO, BUSY_TIME) };
        Self {
            scenario: world(seed, chance),
            skew: time::Duration::seconds(skew),
            version: *chance.one(&["2", "2", "2", "bad", "bad", "dead"]),
            by_two_verbs: chance.percent(25),
            troubles,
            deeds,
            end: dies.then_some(end),
            rival: rivals.then_some(offset),
            after: *chance.one(&[Verb::Settle, Verb::Settle, Verb::Release, Verb::Rollback]),
        }
    }

    /// Whether nobody but the releases changes what the slots serve.
    fn is_alone(&self) -> bool {
        self.deeds.iter().all(|(_, deed)| match deed {
            Deed::EndTokens => true,
            Deed::World(action) => {
                matches!(action, Action::Settings { .. } | Action::Scale { .. } | Action::Restart { .. })
            }
            Deed::Preview | Deed::CancelPreview => false,
        })
    }
}

/// A world with other durations, sizes and kinds than the usual.
fn world(seed: u64, chance: &mut Chance) -> Scenario {
    let mut scenario = scenario(seed);
    scenario.workers = 1 + chance.below(3);
    if chance.percent(30) {
        "app".clone_into(&mut scenario.kind);
    }
    let usual = brisk();
    let durations = &mut scenario.durations;
    for (duration, usual) in [
        (&mut durations.deploy, usual.deploy),
        (&mut durations.start, usual.start),
        (&mut durations.swap_apply, usual.swap_apply),
        (&mut durations.swap_switch, usual.swap_switch),
        (&mut durations.swap_finish, usual.swap_finish),
        (&mut durations.scm_restart, usual.scm_restart),
    ] {
        *duration = usual.mul_f64(3.0 * chance.share());
    }
    durations.retry_after = chance.between(Duration::from_secs(1), Duration::from_secs(20));
    if chance.percent(20) {
        durations.token_lifetime = chance.between(Duration::from_secs(20), Duration::from_secs(600));
    }
    scenario
}

fn trouble(chance: &mut Chance) -> (Target, &'static str, Trouble) {
    let faults = fault::all();
    let fault = chance.one(&faults);
    let services = [
        "arm",
        "arm GET",
        "arm POST",
        "arm GET staging",
        "arm GET production",
        "arm GET staging operationresults",
        "scm",
        "scm staging",
        "scm production",
        "scm staging POST publish",
        "app",
        "app production",
        "app staging",
        "login",
    ];
    let from = chance.below(160);
    let times = *chance.one(&[1, 1, 2, 3, 5, 10, 30, 100_000]);
    let target = match chance.percent(35) {
        true => Target::Number(from),
        false => Target::Service { beginning: (*chance.one(&services)).to_owned(), from, times },
    };
    (target, fault.name, fault.trouble.clone())
}

fn deed(chance: &mut Chance) -> Deed {
    let staging = || SlotName::new("staging").expect("seven letters");
    let slot = if chance.percent(60) { staging() } else { SlotName::production() };
    Deed::World(match chance.below(10) {
        0 | 1 => Action::Swap { source: staging(), target: SlotName::production() },
        2 | 3 => Action::Deploy { slot, package: packages::path("3") },
        4 => Action::Settings { slot, set: [("COLOUR".to_owned(), "blue".to_owned())].into() },
        5 => Action::Scale { workers: 1 + chance.below(4) },
        6 => Action::Restart { slot },
        7 => return Deed::Preview,
        8 => return Deed::CancelPreview,
        _ => return Deed::EndTokens,
    })
}

fn act(simulation: &Simulation, deed: &Deed) {
    let site = SiteName::new("shop").expect("four letters");
    let staging = SlotRef::new(site.clone(), SlotName::new("staging").expect("seven letters"));
    let production = SlotRef::production(site);
    let cloud = simulation.inside.cloud();
    // What Azure refuses is not done: that is so for everybody.
    let _ = match deed {
        Deed::World(action) => cloud.shared.act(|world| world.perform(action.clone())),
        Deed::Preview => cloud.shared.act(|world| world.apply_slot_config(&staging, &production)),
        Deed::CancelPreview => cloud.shared.act(|world| world.reset_slot_config(&production)),
        Deed::EndTokens => {
            cloud.directory.expire_all();
            Ok(())
        }
    };
}

/// What a course has come to so far.
#[derive(Default)]
struct Report {
    problems: Vec<String>,
    shown: String,
    /// A run could not read what production served before, so that it left nothing to go back by.
    unread: bool,
    /// What was released, by the build that it was released on top of.
    released_over: Vec<String>,
}

/// All that is wrong with the course of a schedule, and what was shown.
async fn course(schedule: &Schedule) -> (Vec<String>, String) {
    let simulation = Simulation::start(schedule.scenario.clone()).await;
    let client = simulation.client(0);
    for (target, _, trouble) in &schedule.troubles {
        client.door.plan(target.clone(), trouble.clone());
    }
    if let Some((number, boundary, end)) = schedule.end {
        client.door.plan_end(Point::Number(number), boundary, end, &client.cancel);
    }
    let rival = simulation.client(2);
    let mut report = Report::default();
    let others = async {
        let mut deeds = schedule.deeds.clone();
        deeds.sort_by_key(|(at, _)| *at);
        let began = tokio::time::Instant::now();
        for (at, deed) in &deeds {
            tokio::time::sleep_until(began + *at).await;
            act(&simulation, deed);
        }
    };
    let rival_runs = async {
        match schedule.rival {
            Some(offset) => {
                tokio::time::sleep(offset).await;
                vec![simulation.run(&rival, &Order::release("3")).await]
            }
            None => Vec::new(),
        }
    };
    let (ours, theirs, ()) = tokio::join!(ours(schedule, &simulation, &client), rival_runs, others);
    let mut allowed = Vec::new();
    for (who, client, runs) in [("ours", &client, ours), ("the rival's", &rival, theirs)] {
        allowed.push(runs.iter().map(most_switches).sum::<usize>());
        for ran in runs {
            look_at(schedule, &simulation, who, client, ran, &mut report);
        }
    }
    // One after the other is fine; on top of the same build only one may be.
    report.released_over.sort();
    if schedule.is_alone() && report.released_over.windows(2).any(|pair| pair[0] == pair[1]) {
        report.problems.push("both of two rivals say that they released on top of the same build".to_owned());
    }
    at_last(schedule, &simulation, &mut report).await;
    for (client, allowed) in [&client, &rival].into_iter().zip(allowed) {
        let switches = truth::switches_by(&simulation, client);
        if switches > allowed {
            report.problems.push(format!("{switches} swaps of one client were carried out, not {allowed}"));
        }
    }
    drop((client, rival));
    simulation.end().await;
    (report.problems, report.shown)
}

/// How many swaps a run may have carried out, also after its end.
fn most_switches(ran: &Ran) -> usize {
    match ran {
        Ran::Finished(finished) => truth::directions(finished),
        Ran::Died => 2,
        Ran::Failed(_) => 0,
    }
}

async fn ours(schedule: &Schedule, simulation: &Simulation, client: &Client) -> Vec<Ran> {
    if !schedule.by_two_verbs {
        return vec![simulation.run(client, &Order::release(schedule.version)).await];
    }
    let first = simulation.run(client, &Order::deploy(schedule.version)).await;
    let release = match &first {
        Ran::Finished(finished) if finished.outcome == Outcome::Staged => finished.conclusion.release.clone(),
        _ => None,
    };
    match release {
        Some(release) => vec![first, simulation.run(client, &Order::swap(release.as_str())).await],
        None => vec![first],
    }
}

fn look_at(
    schedule: &Schedule,
    simulation: &Simulation,
    who: &str,
    client: &Client,
    ran: Ran,
    report: &mut Report,
) {
    match ran {
        Ran::Died => {
            let text = client.shown.text();
            report.unread |= text.contains(truth::UNREAD);
            report.shown.push_str(&format!("\n---- {who}, killed\n{text}"));
            report.problems.extend(truth::secrets(&text));
        }
        Ran::Failed(error) => report.problems.push(format!("{who} failed: {error}")),
        Ran::Finished(finished) => {
            let before = finished.conclusion.before.as_ref().map(|slot| slot.build.as_str());
            report.unread |= before == Some(truth::UNREAD);
            if finished.outcome == Outcome::Released {
                report.released_over.extend(before.map(str::to_owned));
            }
            report.shown.push_str(&format!("\n---- {who}\n{}", finished.shown));
            let problems = truth::problems(simulation, client, &finished);
            report.problems.extend(problems.iter().map(|words| format!("{who}: {words}")));
            report.problems.extend(about_bad_builds(schedule, who, client, &finished));
        }
    }
}

fn about_bad_builds(schedule: &Schedule, who: &str, client: &Client, finished: &Finished) -> Option<String> {
    let bad = who == "ours" && schedule.version != "2" && !app_answers_were_false(client);
    let called_good = match schedule.version {
        "dead" => matches!(finished.outcome, Outcome::Released | Outcome::Staged),
        _ => finished.outcome == Outcome::Released,
    };
    (bad && called_good)
        .then(|| format!("a build that is {} came to {:?}", schedule.version, finished.outcome))
}

/// Whether a fault made the app seem to say what it did not.
fn app_answers_were_false(client: &Client) -> bool {
    client.door.log().iter().any(|seen| seen.troubled && seen.kind.starts_with("app"))
}

/// When all trouble is over somebody comes after, and then the world is looked at.
async fn at_last(schedule: &Schedule, simulation: &Simulation, report: &mut Report) {
    let next = match schedule.after {
        Verb::Release => Order::release("2"),
        verb => Order::bare(verb),
    };
    let mut last = None;
    for (salt, order) in [(20, next), (21, Order::settle())] {
        let client = simulation.client(salt);
        match simulation.run(&client, &order).await {
            Ran::Finished(finished) => {
                report.shown.push_str(&format!("\n---- after that, {:?}\n{}", order.verb, finished.shown));
                report.problems.extend(truth::problems(simulation, &client, &finished));
                let unsettled = about_settling(schedule, &order, &finished);
                report.problems.extend(unsettled.filter(|_| !report.unread));
                last = Some(finished);
            }
            Ran::Failed(error) => {
                report.problems.push(format!("{:?} afterwards failed: {error}", order.verb));
            }
            Ran::Died => {}
        }
    }
    tokio::time::sleep(AFTERWARDS).await;
    if schedule.is_alone() {
        report.problems.extend(truth::leftovers(simulation));
        report.problems.extend(about_the_end(simulation, last.as_deref()).await);
    }
}

/// Where nobody else is at work, what was said last stays true, and a whole build serves.
async fn about_the_end(simulation: &Simulation, last: Option<&Finished>) -> Vec<String> {
    let mut problems = Vec::new();
    let serves = truth::serves(simulation, &SlotName::production()).await;
    if !matches!(serves.versions.as_slice(), [one] if ["1", "2", "3", "bad"].contains(&one.as_str())) {
        problems.push(format!("in the end production serves {serves:?}"));
    }
    let said = last.and_then(|finished| finished.conclusion.production.as_deref());
    let may_change = last.is_none_or(|finished| finished.outcome == Outcome::Stuck);
    if !may_change && said != Some(serves.build.as_str()) {
        problems.push(format!("in the end production serves {serves:?}, and last {said:?} was said"));
    }
    let swaps = simulation.inside.cloud().shared.read(|world| world.operations().len());
    if swaps > 8 {
        problems.push(format!("{swaps} swaps were begun"));
    }
    problems
}

/// Where nobody else is at work, settling without trouble comes to an end by itself.
fn about_settling(schedule: &Schedule, order: &Order, finished: &Finished) -> Option<String> {
    let ends = [Outcome::NothingToDo, Outcome::Released, Outcome::RolledBack];
    let wrong = order.verb == Verb::Settle && schedule.is_alone() && !ends.contains(&finished.outcome);
    wrong.then(|| format!("settled it comes to {:?}", finished.outcome))
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SLOTWAY_SEED") {
        Some(seed) => vec![seed],
        None => {
            let many = number("SLOTWAY_SEEDS").unwrap_or(SEEDS);
            (0..many).chain(ONCE_WRONG.into_iter().filter(|seed| *seed >= many)).collect()
        }
    }
}

#[test]
fn random_schedules_of_troubles_leave_every_word_true() {
    let seeds = seeds();
    let reports = on_all_processors(&seeds, |seed| {
        let schedule = Schedule::draw(*seed);
        let ran = unless_it_panics(|| simulate_with_clock(*BEGINNING + schedule.skew, course(&schedule)));
        let (problems, shown) = ran.unwrap_or_else(|panic| (vec![panic], String::new()));
        let words = format!("{schedule:#?}\n{shown}");
        (problems, words)
    });
    let mut wrong = Wrong::default();
    for (seed, (problems, shown)) in seeds.iter().zip(&reports) {
        let again = format!("seed {seed}, again with: SLOTWAY_SEED={seed} cargo test --lib random_schedules");
        wrong.add(again, problems, shown);
    }
    wrong.assert_none(seeds.len());
}
