//! What is shown while a run goes on.
//!
//! Every line goes to the writer that the composition root gives, in groups where the
//! host has them; where a person watches, a live line and bars stand below it, on
//! standard error.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Grade, Host, Order, azure_pipelines};
use crate::artifact;
use crate::checks::ready::ReadyProgress;
use crate::checks::run::CheckProgress;
use crate::release::Progress;
use crate::release::journal::{Entry, Event};
use crate::release::machine::{Direction, Phase};
use crate::report;
use crate::text;

const TICK: Duration = Duration::from_millis(120);

/// What is shown, and where.
pub struct Screen {
    host: Host,
    out: Mutex<Box<dyn Write + Send>>,
    live: Option<ProgressBar>,
    waiting: Mutex<String>,
    group_open: Mutex<bool>,
    complaint: Once,
    complain: fn(&std::io::Error),
}

impl Screen {
    /// `watched` says whether a person sees the live line; `complain` is told, once, that
    /// nothing can be written.
    pub fn new(host: Host, out: Box<dyn Write + Send>, watched: bool, complain: fn(&std::io::Error)) -> Self {
        let live = watched.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(spinner());
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            host,
            out: Mutex::new(out),
            live,
            waiting: Mutex::new(String::new()),
            group_open: Mutex::new(false),
            complaint: Once::new(),
            complain,
        }
    }

    /// Shows an entry of the journal.
    pub fn show(&self, entry: &Entry) {
        if let Event::Moved { phase, .. } = &entry.event {
            self.begin_phase(*phase);
        }
        let lines = report::lines::of(entry);
        if !lines.is_empty() {
            self.say(&lines);
        }
        match &entry.event {
            Event::Waiting { what, limit } => {
                self.wait_for(format!(
                    "waiting for {}, at most {}",
                    text::line(what),
                    report::duration(*limit)
                ));
            }
            Event::Moved { phase, .. } => self.wait_for(phase.words().to_owned()),
            _ => {}
        }
    }

    /// A group a phase, and the agent's progress bar.
    fn begin_phase(&self, phase: Phase) {
        self.close_group();
        if phase.outcome().is_some() {
            return;
        }
        let mut orders = Vec::new();
        if self.host == Host::AzurePipelines {
            let value = percent(phase).to_string();
            orders.push(azure_pipelines::command("task.setprogress", &[("value", &value)], phase.words()));
        }
        if let Some(group) = self.host.group(phase.words()) {
            orders.push(group);
            *self.group_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        self.order(&orders);
    }

    /// Ends the open group, so that what follows is seen without a click.
    pub fn close_group(&self) {
        let mut open = self.group_open.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *open) {
            self.order(&self.host.end_group().into_iter().collect::<Vec<_>>());
        }
    }

    /// An annotation on the run's page, where the host has one.
    pub fn annotate(&self, grade: Grade, title: &str, text: &str) {
        let (title, text) = (text::line(title), text::lines(text).join("\n"));
        if let Some(order) = self.host.annotation(grade, &title, &text) {
            self.close_group();
            self.order(&[order]);
        }
    }

    /// Writes lines above the live line. Whatever they hold passes the sanitiser here, so
    /// that no caller can forget it.
    pub fn say(&self, lines: &[String]) {
        self.write(lines.iter().map(|line| text::line(line)));
    }

    /// Gives the host orders.
    pub fn order(&self, orders: &[Order]) {
        self.write(orders.iter().map(|order| order.as_str().to_owned()));
    }

    /// An output that is closed or full is no reason to stop a release. A full one is told
    /// of once; nobody is there to read of a closed one.
    fn write(&self, mut lines: impl Iterator<Item = String>) {
        let mut write = || {
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            let written = lines.try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
            match written {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    self.complaint.call_once(|| (self.complain)(&error));
                }
                _ => {}
            }
        };
        match &self.live {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows what moves; only where a person watches.
    pub fn progress(&self, progress: Progress) {
        let Some(bar) = &self.live else { return };
        match progress {
            Progress::Uploading { sent, total } => counted(bar, "uploading", sent, total),
            Progress::Deploying(words) => self.live_words(&words),
            Progress::Ready(ReadyProgress::Waiting(instance)) => self.live_words(&instance.detail),
            Progress::Checking(CheckProgress::Tried { name, tries, detail, .. }) => {
                self.live_words(&format!("\"{name}\", try {tries}: {detail}"));
            }
            Progress::Ready(_) | Progress::Checking(_) => {}
        }
    }

    /// Shows the packing; only where a person watches.
    pub fn packing(&self, progress: artifact::Progress) {
        let Some(bar) = &self.live else { return };
        match progress {
            artifact::Progress::Packing { files, total_files, .. } => {
                bar.set_style(count_style());
                bar.set_length(total_files);
                bar.set_position(files);
                bar.set_message("packing files");
            }
            artifact::Progress::Digesting { bytes, total_bytes } => {
                counted(bar, "reading the package", bytes, total_bytes);
            }
        }
    }

    /// Takes the live line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.live {
            bar.finish_and_clear();
        }
    }

    /// A new thing is waited for; the line's clock begins again.
    fn wait_for(&self, what: String) {
        let Some(bar) = &self.live else { return };
        bar.reset_elapsed();
        bar.set_style(spinner());
        bar.set_message(what.clone());
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn live_words(&self, words: &str) {
        let Some(bar) = &self.live else { return };
        let what = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        bar.set_style(spinner());
        bar.set_message(format!("{what} · {}", text::line(words)));
    }
}

/// How far a release is, for a progress bar: the phases take about this share.
fn percent(phase: Phase) -> u8 {
    match phase {
        Phase::Planned => 0,
        Phase::Deploying => 10,
        Phase::CheckingStaging => 40,
        Phase::Swapping(_) | Phase::AwaitingTurn(Direction::Forward, _) => 60,
        Phase::Observing(Direction::Forward, _) => 75,
        Phase::CheckingProduction | Phase::LookingBack | Phase::LookingAtOtherSlot => 80,
        Phase::RollingBack(_) | Phase::AwaitingTurn(Direction::Back, _) => 85,
        Phase::Observing(Direction::Back, _) => 90,
        Phase::CheckingRollback | Phase::Confirming(_) | Phase::Leaving => 95,
        Phase::Ended(_) => 100,
    }
}

fn counted(bar: &ProgressBar, what: &'static str, done: u64, total: u64) {
    bar.set_style(bytes_style());
    bar.set_length(total);
    bar.set_position(done);
    bar.set_message(what);
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn spinner() -> ProgressStyle {
    style("{spinner} {elapsed} {wide_msg}")
}

fn bytes_style() -> ProgressStyle {
    style("{spinner} {msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
}

fn count_style() -> ProgressStyle {
    style("{spinner} {msg} {wide_bar} {pos} of {len}")
}
