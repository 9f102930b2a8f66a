//! What is run in the matrix: the usual courses, and others that are run for a few requests only.
//!
//! Owns how a world is brought to where a course begins, and how it ends without trouble.

use std::time::Duration;

use crate::cli::simulation::door::{SWAP, Seen, Stage};
use crate::cli::simulation::{Order, Simulation, brisk, packages, scenario};
use crate::emulator::scenario::{Durations, Scenario};
use crate::emulator::world::{PublishingPolicy, SlotRef};
use crate::names::{SiteName, SlotName};
use crate::plan::Verb;
use crate::release::machine::Outcome;

/// All runs of the matrix happen in worlds of this seed.
const SEED: u64 = 7;
/// Longer than the patience of any single look at production after a swap.
const LONG_SWAP: Duration = Duration::from_secs(70);

/// What is done without trouble first, and what is then done in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli::simulation) enum Course {
    Release,
    ReleaseOfBad,
    Deploy,
    Swap,
    Rollback,
}

pub(in crate::cli::simulation) const COURSES: [Course; 5] =
    [Course::Release, Course::ReleaseOfBad, Course::Deploy, Course::Swap, Course::Rollback];

impl Course {
    /// How it ends without trouble.
    pub(in crate::cli::simulation) fn good_end(self) -> Outcome {
        match self {
            Self::Release | Self::Swap => Outcome::Released,
            Self::ReleaseOfBad | Self::Rollback => Outcome::RolledBack,
            Self::Deploy => Outcome::Staged,
        }
    }

    /// Brings the world to where the course begins, and says what is to be run.
    pub(in crate::cli::simulation) async fn prepare(self, simulation: &Simulation) -> Order {
        let first = match self {
            Self::Release => return Order::release("2"),
            Self::ReleaseOfBad => return Order::release("bad"),
            Self::Deploy => return Order::deploy("2"),
            Self::Swap => Order::deploy("2"),
            Self::Rollback => Order::release("2"),
        };
        let mut helper = simulation.client(1);
        helper.watches = false;
        let done = simulation.run(&helper, &first).await.finished();
        let release = done.conclusion.release.expect("a release id").to_string();
        if self == Self::Swap { Order::swap(&release) } else { Order::rollback(&release) }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Release => "`release` of a good build",
            Self::ReleaseOfBad => "`release` of a build that fails in production",
            Self::Deploy => "`deploy`",
            Self::Swap => "`swap`, after a deploy",
            Self::Rollback => "`rollback`, after a release",
        }
    }
}

/// A course in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Story {
    /// All of it.
    Usual(Course),
    /// Where a swap takes more than a minute: its requests.
    Slow(Course),
    /// The same, and no site tells that an operation is under way (seen-in-recordings.md 4).
    Hidden(Course),
    /// A deployment of a folder with another start command: what that sends.
    StartCommand,
    /// A release of an image: what that sends instead of a package.
    Image,
    /// A deployment by publish profile.
    Profile,
}

pub(super) const STORIES: [Story; 12] = [
    Story::Usual(Course::Release),
    Story::Usual(Course::ReleaseOfBad),
    Story::Usual(Course::Deploy),
    Story::Usual(Course::Swap),
    Story::Usual(Course::Rollback),
    Story::Slow(Course::Release),
    Story::Slow(Course::ReleaseOfBad),
    Story::Hidden(Course::Swap),
    Story::Hidden(Course::Rollback),
    Story::StartCommand,
    Story::Image,
    Story::Profile,
];

impl Story {
    pub(super) fn title(self) -> String {
        match self {
            Self::Usual(course) => course.title().to_owned(),
            Self::Slow(course) => format!("{}, where a swap takes more than a minute", course.title()),
            Self::Hidden(course) => {
                format!("{}, where that takes long and Azure shows no operation", course.title())
            }
            Self::StartCommand => "`deploy` of a folder with another start command".to_owned(),
            Self::Image => "`release` of an image".to_owned(),
            Self::Profile => "`deploy` by publish profile".to_owned(),
        }
    }

    /// The course that goes through it, where there is one.
    pub(super) fn course(self) -> Option<Course> {
        match self {
            Self::Usual(course) | Self::Slow(course) | Self::Hidden(course) => Some(course),
            Self::StartCommand | Self::Image | Self::Profile => None,
        }
    }

    pub(super) fn good_end(self) -> Outcome {
        match self {
            Self::Usual(course) | Self::Slow(course) | Self::Hidden(course) => course.good_end(),
            Self::Image => Outcome::Released,
            Self::StartCommand | Self::Profile => Outcome::Staged,
        }
    }

    /// Whether this request is one of those for which it is run.
    pub(super) fn is_about(self, seen: &Seen) -> bool {
        let kind = seen.kind.as_str();
        match self {
            Self::Usual(_) | Self::Profile => true,
            Self::Slow(Course::ReleaseOfBad) => {
                // The way there is that of any release.
                let tells = kind.contains("operationresults") || kind == "arm GET production site";
                kind == SWAP && seen.stage == Stage::Swapped || seen.stage == Stage::SwappedBack && tells
            }
            Self::Slow(_) | Self::Hidden(_) => {
                let tells = kind.contains("operationresults") || kind == "arm GET production site";
                kind == SWAP || seen.stage >= Stage::Swapped && tells
            }
            Self::StartCommand | Self::Image => {
                let reads = kind.contains("config/web") || kind.contains("environment");
                kind.contains("PATCH") || kind.contains("restart") || seen.stage == Stage::Deploying && reads
            }
        }
    }

    pub(super) fn scenario(self) -> Scenario {
        let slow = Durations { swap_finish: LONG_SWAP, ..brisk() };
        match self {
            Self::Usual(_) | Self::StartCommand | Self::Profile => scenario(SEED),
            Self::Slow(_) => Scenario { durations: slow, ..scenario(SEED) },
            Self::Hidden(_) => Scenario { durations: slow, hides_operations: true, ..scenario(SEED) },
            Self::Image => containers(),
        }
    }

    pub(super) async fn prepare(self, simulation: &Simulation) -> Order {
        match self {
            Self::Usual(course) | Self::Slow(course) | Self::Hidden(course) => {
                course.prepare(simulation).await
            }
            Self::StartCommand => Order {
                package: Some(packages::folder()),
                startup_command: Some("node server.js".to_owned()),
                ..Order::bare(Verb::Deploy)
            },
            Self::Image => {
                Order { image: Some("registry.test/shop:2".to_owned()), ..Order::bare(Verb::Release) }
            }
            Self::Profile => Order { profile: Some(profile(simulation)), ..Order::deploy("2") },
        }
    }
}

fn containers() -> Scenario {
    let package = |version| packages::path(version).display().to_string();
    let image = |version| format!("  \"registry.test/shop:{version}\": {{package: {}}}\n", package(version));
    let slot = |name, setting, version| {
        format!(
            "  {name}: {{slot-settings: {{PLACE: {setting}}}, web-config: {{linuxFxVersion: \"DOCKER|registry.test/shop:{version}\"}}}}\n"
        )
    };
    let text = format!(
        "app: shop\nseed: {SEED}\nworkers: 2\nkind: app,linux,container\nimages:\n{}{}{}slots:\n{}{}",
        image("0"),
        image("1"),
        image("2"),
        slot("production", "live", "1"),
        slot("staging", "test", "0"),
    );
    let scenario = Scenario::from_yaml(&text).expect("a well-formed scenario");
    Scenario { durations: brisk(), ..scenario }
}

/// The profile of staging, as downloaded after basic authentication was allowed.
fn profile(simulation: &Simulation) -> String {
    let site = SiteName::new("shop").expect("four letters are an app's name");
    let staging = SlotRef::new(site, SlotName::new("staging").expect("seven letters are a slot's name"));
    let shared = &simulation.inside.cloud().shared;
    let allowed = shared.act(|world| world.set_publishing_policy(&staging, PublishingPolicy::Scm, true));
    allowed.expect("the slot is there");
    shared.read(|world| {
        let slot = world.slot(&staging).expect("the slot is there");
        let (hosts, publishing) = (&slot.hosts, &slot.publishing);
        format!(
            "<publishData><publishProfile profileName=\"shop - Zip Deploy\" publishMethod=\"ZipDeploy\" publishUrl=\"{}\" userName=\"{}\" userPWD=\"{}\" destinationAppUrl=\"http://{}\"/></publishData>",
            hosts.scm, publishing.user, publishing.password, hosts.app
        )
    })
}
