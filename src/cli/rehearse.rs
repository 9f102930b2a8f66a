//! The verb `rehearse`: the true verbs on an emulator in this process.
//!
//! The emulator and the release share nothing but loopback connections: the release
//! signs in, reads the metadata document and swaps over TLS, as it does on Azure.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use tokio::sync::watch;

use super::arguments::{self, REHEARSED};
use super::context::{Context, problem, write_file};
use super::{emulator, perform};
use crate::emulator::Emulator;
use crate::emulator::Ready;
use crate::error::Error;
use crate::http::Network;
use crate::inputs::{INPUTS, Needs, Raw, Source};
use crate::plan::Verb;
use crate::release::journal::Conclusion;
use crate::scratch::Scratch;

/// The example app, so that the binary rehearses wherever it lies.
const STOREFRONT: [(&str, &str); 7] = [
    ("v1/index.html", include_str!("../../examples/storefront/v1/index.html")),
    ("v1/version.json", include_str!("../../examples/storefront/v1/version.json")),
    ("v1/health.json", include_str!("../../examples/storefront/v1/health.json")),
    ("v2/index.html", include_str!("../../examples/storefront/v2/index.html")),
    ("v2/version.json", include_str!("../../examples/storefront/v2/version.json")),
    ("v2/health.json", include_str!("../../examples/storefront/v2/health.json")),
    ("slotway.yml", include_str!("../../examples/storefront/slotway.yml")),
];

/// Starts the emulator, runs the verb, and leaves nothing behind.
pub(super) async fn rehearse(matches: &ArgMatches, cancelled: watch::Receiver<bool>) -> Result<u8, Error> {
    let folder = Scratch::new()?;
    let storefront = unpack_storefront(folder.path())?;
    let seed = match emulator::Seed::read(matches, &storefront) {
        Ok(seed) => seed,
        Err(error) => return Context::bare(matches, cancelled).finish(Err(error), "rehearse"),
    };
    super::context::write_error_out("starting an emulated App Service\n");
    let release = seed.release.clone();
    let emulator = emulator::start(seed, folder.path()).await?;
    let result = on(&emulator, release, &storefront, matches, cancelled.clone()).await;
    if matches.get_flag("keep") {
        keep(emulator.ready(), cancelled).await;
    }
    emulator.shutdown().await;
    drop(folder);
    result
}

/// The same for a pipeline step: its inputs stand for the flags.
pub(super) async fn as_step(context: &Context, cancelled: watch::Receiver<bool>) -> Result<u8, Error> {
    let given = REHEARSED.iter().filter_map(|name| Some(format!("--{name}={}", context.raw.get(name)?)));
    let words = ["slotway", "rehearse"].map(str::to_owned).into_iter().chain(given);
    let matches =
        arguments::command().try_get_matches_from(words).map_err(|error| problem("command", error))?;
    match matches.subcommand() {
        Some((_, matches)) => rehearse(matches, cancelled).await,
        None => Err(problem("command", "rehearse cannot be started like this")),
    }
}

async fn on(
    emulator: &Emulator,
    release: Option<(PathBuf, Option<PathBuf>)>,
    storefront: &Path,
    matches: &ArgMatches,
    cancelled: watch::Receiver<bool>,
) -> Result<u8, Error> {
    let ready = emulator.ready();
    let verb = matches.get_one::<String>("verb").map_or("release", String::as_str);
    let mut raw = Raw::default();
    for input in INPUTS {
        if let Ok(Some(value)) = matches.try_get_one::<String>(input.name) {
            raw.offer(input.name, value.clone(), Source::Flag);
        }
    }
    offer_connection(&mut raw, ready);
    offer_release(&mut raw, release, storefront);
    let prepared = prepare(&mut raw, verb, matches, ready, &cancelled).await;
    let context = match prepared.and_then(|()| context(raw, matches, ready, cancelled.clone())) {
        Ok(context) => context,
        Err(error) => return Context::bare(matches, cancelled).finish(Err(error), verb),
    };
    let result = perform(verb, &context).await;
    context.finish(result, verb)
}

fn context(
    raw: Raw,
    matches: &ArgMatches,
    ready: &Ready,
    cancelled: watch::Receiver<bool>,
) -> Result<Context, Error> {
    let mut context = Context::new(raw, matches, cancelled)?;
    let certificates = std::fs::read(&ready.ca_file)?;
    context.network = Network { certificates: Some(certificates), local: true, ..Network::default() };
    Ok(context)
}

/// `swap` and `check` need a deployed release and `rollback` a swapped one: the true
/// verbs make them first.
async fn prepare(
    raw: &mut Raw,
    verb: &str,
    matches: &ArgMatches,
    ready: &Ready,
    cancelled: &watch::Receiver<bool>,
) -> Result<(), Error> {
    let first = match verb {
        "swap" | "check" => Verb::Deploy,
        "rollback" => Verb::Release,
        _ => return Ok(()),
    };
    let context = context(raw.clone(), matches, ready, cancelled.clone())?;
    context.terminal.say(&[format!("first {}, so that there is something to {verb}", first.word())]);
    let inputs = context.inputs(Needs::Change(first))?;
    let done = super::run::journaled(&context, first, &inputs).await?;
    context.terminal.finish();
    let Some(release) = Conclusion::of(&done.entries).release else {
        return Err(problem(
            "verb",
            format!("there is nothing to {verb}: {} came to no release", first.word()),
        ));
    };
    raw.offer("release-id", release.as_str(), Source::Rehearsal);
    // It is in the slot now.
    raw.withdraw("package");
    raw.withdraw("images");
    Ok(())
}

pub(super) fn offer_connection(raw: &mut Raw, ready: &Ready) {
    let mut offer = |name, value: &str| raw.offer(name, value, Source::Rehearsal);
    offer("environment", "AzureStack");
    offer("resource-manager-url", &ready.resource_manager);
    offer("tenant-id", &ready.tenant_id);
    offer("client-id", &ready.client_id);
    offer("client-secret", &ready.client_secret);
    offer("subscription-id", &ready.subscription_id);
    offer("resource-group-name", &ready.resource_group);
    offer("app-name", &ready.app_name);
    offer("slot-name", "staging");
}

/// What the flags leave open: the scenario's release, else the storefront's second
/// version with its own checks.
fn offer_release(raw: &mut Raw, release: Option<(PathBuf, Option<PathBuf>)>, storefront: &Path) {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    if let Some((package, config)) = release {
        if raw.get("images").is_none() {
            raw.offer("package", text(&package), Source::Rehearsal);
        }
        if let Some(config) = config {
            raw.offer("config", text(&config), Source::Rehearsal);
        }
    }
    if raw.get("package").is_none() && raw.get("images").is_none() {
        raw.offer("package", text(&storefront.join("v2")), Source::Rehearsal);
        raw.offer("config", text(&storefront.join("slotway.yml")), Source::Rehearsal);
    }
}

pub(super) fn unpack_storefront(folder: &Path) -> Result<PathBuf, Error> {
    let storefront = folder.join("storefront");
    for (name, text) in STOREFRONT {
        let path = storefront.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| problem("rehearse", error))?;
        }
        write_file(&path, text)?;
    }
    Ok(storefront)
}

async fn keep(ready: &Ready, mut cancelled: watch::Receiver<bool>) {
    let mut text = String::from("\nthe emulator stays up until Ctrl-C; open in a browser:\n");
    for (slot, urls) in &ready.slots {
        text.push_str(&format!("  {slot:<11} {}\n", urls.url));
    }
    text.push_str(&format!("  its certificate authority: {}\n", ready.ca_file.display()));
    super::context::write_error_out(&text);
    // The sender lives as long as the process: only a signal ends this.
    let _ = cancelled.wait_for(|stop| *stop).await;
}
