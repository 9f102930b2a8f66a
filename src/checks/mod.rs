//! Is this URL serving what we expect: the checks of `slotway.yml`, whether every
//! instance is ready, and the watch on production around the swap.
//!
//! Owns what a check is, how it is read, run and judged. Must not decide what
//! follows from a verdict, and must not read the environment, print or exit: HTTP
//! client, deadline and the environment of commands come from the caller.

pub mod command;
pub mod duration;
pub mod expect;
mod field;
pub mod file;
pub mod probe;
pub mod prove;
pub mod ready;
mod request;
pub mod run;
pub mod spec;
mod tally;
#[cfg(test)]
mod testing;
mod tree;
pub mod verdict;
pub mod watch;

pub use duration::{parse_duration, show_duration};
pub use file::{ConfigFile, ConfigProblem, read};
pub use probe::{Observation, Probe, ProbeError, observe, url_at};
pub use prove::prove;
pub use ready::{InstanceReady, ReadyProgress, ReadySettings, wait_ready};
pub use run::{CheckOutcome, CheckProgress, Target, deciding_verdict, run_all};
pub use spec::{Check, Limits, Soak, Watch};
pub use verdict::{Verdict, worst};
pub use watch::{PhaseReport, Sample, WatchHandle, WatchPhase, WatchReport, start_watch};
