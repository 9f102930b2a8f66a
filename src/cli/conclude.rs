//! What a run leaves: the last lines, an annotation, the summary, the report, the
//! outputs, and the checks as test results, each where the host wants it.

use std::path::{Path, PathBuf};

use super::context::Context;
use crate::host::{Grade, Host, OUTPUTS, Order, Outputs, azure_pipelines, github};
use crate::release::journal::{Conclusion, Entry, SlotView};
use crate::report::{self, next::Next};

impl Context {
    /// Writes the reports of a verb that kept a journal. What cannot be written is said
    /// and changes nothing: the release is what it is. Gives the summary back.
    pub(super) fn report(&self, entries: &[Entry], exit_code: u8, next: Option<&Next>) -> String {
        self.terminal.close_group();
        self.terminal.finish();
        let conclusion = Conclusion::of(entries);
        self.terminal.say(&report::lines::conclusion(&conclusion, next));
        self.annotate(&conclusion, exit_code);
        let summary = report::markdown::summary(entries, next);
        let document = report::json::report(entries, exit_code, next);
        let summary_file = self.file("summary", "summary.md", &summary);
        let report_file = self.file("report-file", "report.json", &report::json::text(&document));
        self.hand_on(&outputs(&conclusion, summary_file.as_deref(), report_file.as_deref()));
        self.show_summary(&summary, summary_file.as_deref());
        self.publish_checks(entries);
        self.document(&document);
        summary
    }

    /// Shows why there is no outcome where hosts show summaries; people at a terminal have read it.
    pub(super) fn summarise_error(&self, summary: &str) {
        let file = match self.host {
            Host::AzurePipelines => self.file("summary", "summary.md", summary),
            Host::GitHub | Host::Terminal => None,
        };
        self.show_summary(summary, file.as_deref());
    }

    /// One annotation tells how it ended; the log and the summary have the rest.
    fn annotate(&self, conclusion: &Conclusion, exit_code: u8) {
        let title = format!(
            "{} {}",
            self.raw.get("app-name").unwrap_or("slotway"),
            conclusion.outcome.map_or("unfinished", |outcome| outcome.word())
        );
        let headline = report::lines::headline(conclusion);
        match &conclusion.cause {
            Some((cause, help)) if exit_code != 0 => {
                let text = std::iter::once(cause).chain(help).cloned().collect::<Vec<_>>().join("\n");
                self.terminal.annotate(Grade::Error, &title, &format!("{text}\n{headline}"));
            }
            _ if exit_code != 0 => self.terminal.annotate(Grade::Error, &title, &headline),
            _ => self.terminal.annotate(Grade::Notice, &title, &headline),
        }
    }

    /// Writes a file where the user asks for it, or where the host keeps such files.
    fn file(&self, input: &str, name: &str, text: &str) -> Option<PathBuf> {
        let (path, folder) = match (self.raw.get(input), &self.files) {
            (Some(path), _) => (PathBuf::from(path), None),
            (None, Some(folder)) => (folder.join(format!("{}-{name}", uuid::Uuid::new_v4())), Some(folder)),
            (None, None) => return None,
        };
        let made = folder.map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = made.and_then(|()| std::fs::write(&path, text)) {
            let words = format!("could not write {}: {error}", path.display());
            self.terminal.say(&[format!("warning: {words}")]);
            self.terminal.annotate(Grade::Warning, "report", &words);
            return None;
        }
        // Later steps may run in another folder.
        Some(std::path::absolute(&path).unwrap_or(path))
    }

    /// The outputs, for later steps and jobs. That a host cannot take them is said and
    /// fails no release.
    pub(super) fn hand_on(&self, outputs: &[(&'static str, String)]) {
        match self.host {
            Host::Terminal => {}
            Host::GitHub => {
                let Some(path) = self.process.get("GITHUB_OUTPUT") else { return };
                if let Err(error) = github::append_values(Path::new(path), outputs) {
                    self.terminal.annotate(
                        Grade::Warning,
                        "outputs",
                        &format!("could not write {path}: {error}"),
                    );
                }
            }
            Host::AzurePipelines => {
                let orders: Vec<Order> = outputs
                    .iter()
                    .map(|(name, value)| {
                        let name = azure_pipelines::output_name(name);
                        let properties = [("variable", name.as_str()), ("isOutput", "true")];
                        azure_pipelines::command("task.setvariable", &properties, value)
                    })
                    .collect();
                self.terminal.order(&orders);
            }
        }
    }

    fn show_summary(&self, summary: &str, file: Option<&Path>) {
        match (self.host, file) {
            (Host::GitHub, _) => {
                let Some(path) = self.process.get("GITHUB_STEP_SUMMARY") else { return };
                if let Err(error) = github::append(Path::new(path), summary) {
                    self.terminal.annotate(
                        Grade::Warning,
                        "summary",
                        &format!("could not write {path}: {error}"),
                    );
                }
            }
            (Host::AzurePipelines, Some(file)) => {
                let order = azure_pipelines::command("task.uploadsummary", &[], &file.to_string_lossy());
                self.terminal.order(&[order]);
            }
            _ => {}
        }
    }

    /// Azure Pipelines shows checks in its Tests tab.
    fn publish_checks(&self, entries: &[Entry]) {
        if self.host != Host::AzurePipelines {
            return;
        }
        let Some(junit) = report::junit::report(entries) else { return };
        let Some(path) = self.file("", "checks.xml", &junit) else { return };
        // PublishTestResults prints the same command (azure-pipelines-tasks, its L0 tests).
        let files = path.to_string_lossy();
        let properties = [
            ("type", "JUnit"),
            ("mergeResults", "true"),
            ("runTitle", "Slotway checks"),
            ("publishRunAttachments", "true"),
            ("resultFiles", &files),
        ];
        self.terminal.order(&[azure_pipelines::command("results.publish", &properties, "")]);
    }
}

fn outputs(conclusion: &Conclusion, summary: Option<&Path>, report: Option<&Path>) -> Outputs {
    OUTPUTS.iter().map(|(name, _)| (*name, output(name, conclusion, summary, report))).collect()
}

/// The value of one output; empty where there is none.
fn output(name: &str, conclusion: &Conclusion, summary: Option<&Path>, report: Option<&Path>) -> String {
    let path = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let url = |view: &Option<SlotView>| view.as_ref().map(|view| view.url.clone());
    let value = match name {
        "outcome" => Some(conclusion.outcome.map_or("unfinished", |outcome| outcome.word()).to_owned()),
        "release-id" => conclusion.release.as_ref().map(ToString::to_string),
        "staging-url" => url(&conclusion.staging_before),
        "production-url" => url(&conclusion.before),
        "production-build" => conclusion.production.clone(),
        // An id that swap and rollback take back as an input, or nothing.
        "previous-build" => {
            conclusion.before.as_ref().and_then(|view| view.release.as_ref()).map(ToString::to_string)
        }
        "swap-gap" => conclusion.watch.as_ref().map(|watch| watch.longest_gap.as_millis().to_string()),
        "summary-file" => path(summary),
        "report-file" => path(report),
        _ => None,
    };
    value.unwrap_or_default()
}
