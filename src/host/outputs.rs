//! The one list of outputs, for later steps and jobs. `action.yml`, `task.json` and the README
//! are held equal to it.

/// Name and meaning, in the order that people are shown.
pub const OUTPUTS: [(&str, &str); 9] = [
    (
        "outcome",
        "How it ended. One of released, staged, nothing-to-do, refused, rolled-back, stuck, invalid-inputs and internal-error.",
    ),
    ("release-id", "The release, for swap and rollback in a later job."),
    ("staging-url", "The address of the slot."),
    ("production-url", "The address of production."),
    ("production-build", "The build that production serves, as last read back from Azure."),
    ("previous-build", "The build that production served before."),
    ("swap-gap", "The longest time without a good answer from production around the swap, in milliseconds."),
    ("summary-file", "The file with the Markdown summary."),
    ("report-file", "The file with the JSON report."),
];
