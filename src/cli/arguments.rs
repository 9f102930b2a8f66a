//! The command line, made from the one list of inputs.

use clap::{Arg, ArgAction, Command};

use crate::inputs::{For, INPUTS, Input, Kind};

/// The verbs that a rehearsal can run.
pub(super) const VERBS: [&str; 8] =
    ["release", "deploy", "swap", "rollback", "settle", "check", "plan", "status"];

/// The whole command line.
pub(super) fn command() -> Command {
    Command::new("slotway")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Releases an app through Azure App Service deployment slots: deploy, check, swap, prove, roll back")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb("release", "Deploy, check staging, swap, prove production, roll back if needed"))
        .subcommand(verb("deploy", "Deploy and check staging; production is untouched"))
        .subcommand(verb("swap", "Swap a release that staging serves; prove production, roll back if needed"))
        .subcommand(verb("rollback", "Bring back the version before a release"))
        .subcommand(verb("settle", "Finish what a cancelled or killed run left: prove production, or roll back"))
        .subcommand(verb("check", "Run the smoke checks against a slot or a URL; changes nothing").arg(
            Arg::new("url").long("url").value_name("URL").help("check this URL instead of a slot; nobody signs in. It holds no password and no query: each check has a path and query of its own"),
        ))
        .subcommand(verb("plan", "Say what release would do, what forbids it, and which settings differ between the slots"))
        .subcommand(verb("status", "Say which build each slot serves and what is under way"))
        .subcommand(Command::new("run").hide(true).about("What a pipeline step runs: the verb is its input")
            .arg(flag("settle", "what its post hook runs: settle only what this pipeline run left")).arg(output()))
        .subcommand(rehearse())
        .subcommand(emulator())
}

fn verb(name: &'static str, about: &'static str) -> Command {
    let inputs = INPUTS.iter().filter(|input| takes(name, input)).map(argument);
    Command::new(name).about(about).args(inputs).arg(output())
}

/// `check`, `plan` and `status` take the inputs of every verb that calls Azure;
/// `plan` plans a release, so it takes a release's too.
fn takes(verb: &str, input: &Input) -> bool {
    match input.verbs {
        For::Azure => true,
        For::Deploying => matches!(verb, "release" | "deploy" | "plan"),
        For::Step => false,
        For::Later => matches!(verb, "swap" | "rollback"),
    }
}

fn argument(input: &Input) -> Arg {
    let variable = input.variable();
    let argument = Arg::new(input.name).long(input.name).help(format!("{} [env: {variable}]", input.help));
    match input.kind {
        // The flag exists only so that it can be refused in our own words, without the value.
        Kind::Secret => argument.hide(true).num_args(0..=1).default_missing_value(""),
        Kind::Boolean => argument.value_name("BOOLEAN").num_args(0..=1).default_missing_value("true"),
        Kind::Path => argument.value_name("PATH"),
        Kind::Text => argument.value_name("TEXT"),
    }
}

fn output() -> Arg {
    Arg::new("output")
        .long("output")
        .value_name("FORMAT")
        .value_parser(["text", "json"])
        .default_value("text")
        .help("text for people; json writes one JSON report to standard output and the log to standard error")
}

/// The inputs that a rehearsal takes; its connection is its own.
pub(super) const REHEARSED: [&str; 10] = [
    "package",
    "images",
    "startup-command",
    "type",
    "target-path",
    "clean",
    "restart",
    "config",
    "summary",
    "report-file",
];

fn rehearse() -> Command {
    Command::new("rehearse")
        .about("Run a verb on an App Service that is emulated in this process: no account, no network")
        .arg(
            Arg::new("verb")
                .value_name("VERB")
                .value_parser(VERBS)
                .default_value("release")
                .help("which verb"),
        )
        .args(INPUTS.iter().filter(|input| REHEARSED.contains(&input.name)).map(argument))
        .arg(scenario())
        .arg(flag("realistic", "use the durations that Azure shows instead of none"))
        .arg(flag("keep", "leave the emulated slots up until Ctrl-C and print their URLs"))
        .arg(output())
}

fn emulator() -> Command {
    Command::new("emulator")
        .about("Serve the emulated App Service to az, the SDKs, tests and other processes, until Ctrl-C")
        .arg(scenario())
        .arg(flag("realistic", "use the durations that Azure shows instead of none"))
        .arg(
            Arg::new("package")
                .long("package")
                .value_name("PATH")
                .help("what production serves first (default: the example storefront)"),
        )
        .arg(
            Arg::new("ready-file")
                .long("ready-file")
                .value_name("FILE")
                .help("write a JSON object with all endpoints to this file once it serves"),
        )
        .arg(flag("print-env", "print shell exports for Slotway, az and the SDKs"))
}

fn scenario() -> Arg {
    Arg::new("scenario").long("scenario").value_name("FILE").help("the world, its durations and its faults")
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
