//! The verbs, and the composition root: the only room that knows every other.
//!
//! Owns the command line, the reading of the environment, standard output and the
//! exit code. What the verbs do is in the rooms below.

use std::process::ExitCode;

use tokio::sync::watch;

mod arguments;
mod by_profile;
mod changes;
mod check;
mod conclude;
mod context;
mod emulator;
mod for_checks;
mod given;
mod look;
mod record;
mod rehearse;
mod run;
#[cfg(test)]
mod simulation;

use context::{Context, Output};

use crate::error::{self, Error};
use crate::plan::Verb;

/// Runs the program with the process's arguments, environment and streams.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(end_as_a_bug));
    let matches = match arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return explain(&error),
    };
    start_log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return conclude(Err(Error::Runtime(error))),
    };
    let result = runtime.block_on(dispatch(&matches));
    // A blocked reader of a dead file system must not hold the exit back.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    tracing::debug!(peak_memory_kib = peak_memory_kib(), "done");
    conclude(result)
}

/// The end of a run that panicked, in whatever thread: a bug, told like every other error. The
/// standard library would print the panic's words as they are, and they quote what was read.
/// What is published ends at a panic anyway; so it is the same in every build.
fn end_as_a_bug(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let words = payload.downcast_ref::<&str>().copied();
    let message =
        words.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    context::write_error_out(&error::panic_lines(message, place.as_deref()).join("\n"));
    #[expect(clippy::exit, reason = "an unwinding or aborting process has no exit code of its own")]
    std::process::exit(error::BUG.into());
}

/// Help, the version, or what is wrong with the command line. A wrong argument is repeated
/// in the message, so it is text from outside.
fn explain(error: &clap::Error) -> ExitCode {
    match error.use_stderr() {
        true => context::write_error_out(&error.render().to_string()),
        // There is nothing to do about an output that takes no help text.
        false => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The most memory this process held, where the system tells (Linux).
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

async fn dispatch(matches: &clap::ArgMatches) -> Result<u8, Error> {
    let Some((verb, matches)) = matches.subcommand() else { return Ok(2) };
    let cancelled = signals();
    match verb {
        "emulator" => emulator::serve(matches, cancelled).await,
        "rehearse" => rehearse::rehearse(matches, cancelled).await,
        verb => {
            let context = match Context::from_process(matches, cancelled.clone()) {
                Ok(context) => context,
                Err(error) => return Context::bare(matches, cancelled).finish(Err(error), verb),
            };
            match verb {
                "run" if matches.get_flag("settle") => post_hook(context).await,
                "run" => step(context, cancelled).await,
                verb => context.finish(perform(verb, &context).await, verb),
            }
        }
    }
}

/// A pipeline step: the verb is one of its inputs.
async fn step(context: Context, cancelled: watch::Receiver<bool>) -> Result<u8, Error> {
    if context.raw.get("command").is_some_and(|word| word.eq_ignore_ascii_case("rehearse")) {
        return rehearse::as_step(&context, cancelled).await;
    }
    let (verb, result) = match commanded(&context) {
        Ok(verb) => (verb, perform(verb, &context).await),
        Err(error) => ("run", Err(error)),
    };
    context.finish(result, verb)
}

/// After a step that did not come to its own end: settles what that run left.
async fn post_hook(mut context: Context) -> Result<u8, Error> {
    match commanded(&context) {
        // What only reads leaves nothing behind, and a rehearsal neither.
        Ok("check" | "plan" | "status") | Err(_) => return Ok(0),
        // A publish profile swaps nothing, and cannot read what others swapped.
        Ok(_) if context.raw.get("publish-profile").is_some() => return Ok(0),
        Ok(_) => context.only_of = context.host.run(&context.process),
    }
    let result = perform("settle", &context).await;
    context.finish(result, "settle")
}

/// The verb that a pipeline step's input names.
fn commanded(context: &Context) -> Result<&'static str, Error> {
    let word = context.raw.get("command").unwrap_or("release");
    arguments::VERBS.into_iter().find(|verb| verb.eq_ignore_ascii_case(word)).ok_or_else(|| {
        context::problem(
            "command",
            format!("is \"{word}\"; write one of {}, rehearse", arguments::VERBS.join(", ")),
        )
    })
}

/// One verb in a context that may be the process's or a rehearsal's.
async fn perform(verb: &str, context: &Context) -> Result<u8, Error> {
    if let Some(inputs) = context.profile(verb)? {
        return by_profile::perform(verb, context, &inputs).await;
    }
    match verb {
        "release" => run::change(context, Verb::Release).await,
        "deploy" => run::change(context, Verb::Deploy).await,
        "swap" => run::change(context, Verb::Swap).await,
        "rollback" => run::change(context, Verb::Rollback).await,
        "settle" => run::change(context, Verb::Settle).await,
        "check" => unless_cancelled(context, check::check(context)).await,
        "status" => unless_cancelled(context, look::status(context)).await,
        _ => unless_cancelled(context, look::plan(context)).await,
    }
}

/// A verb that changes nothing simply ends at a signal.
async fn unless_cancelled(
    context: &Context,
    verb: impl Future<Output = Result<u8, Error>>,
) -> Result<u8, Error> {
    let mut cancelled = context.cancelled.clone();
    tokio::select! {
        biased;
        Ok(_) = cancelled.wait_for(|stop| *stop) => Err(context::problem("signal", "the run was cancelled")),
        result = verb => result,
    }
}

/// Becomes true at SIGINT, SIGTERM or SIGHUP; a second one ends the process at once.
fn signals() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        wait_for_signal().await;
        let _ = sender.send(true);
        wait_for_signal().await;
        #[expect(clippy::exit, reason = "a second signal asks for nothing but the end")]
        std::process::exit(130);
    });
    receiver
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        // The terminal was closed: what was started must still be cleared away.
        _ = hangup.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Diagnostics go to standard error, as much as `SLOTWAY_LOG` asks for.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SLOTWAY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Diagnostics).with_ansi(false).init();
}

/// Standard error for diagnostics: they repeat what servers say, and on a host they are
/// part of the log.
struct Diagnostics;

impl std::io::Write for Diagnostics {
    /// The subscriber hands over whole events.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        context::write_error_out(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Says an error that no verb has said yet, and turns the result into the exit code.
fn conclude(result: Result<u8, Error>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            context::say_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Where the result of a verb goes.
fn output(matches: &clap::ArgMatches) -> Output {
    match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => Output::Json,
        _ => Output::Text,
    }
}
