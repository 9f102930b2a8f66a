//! The verb `emulator`, and what `rehearse` shares with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use tokio::sync::watch;

use super::context::{problem, write_out};
use super::given::read_text;
use super::rehearse::unpack_storefront;
use crate::emulator::scenario::Scenario;
use crate::emulator::{self, Emulator, Options};
use crate::error::Error;
use crate::names::SlotName;
use crate::report::json;
use crate::scratch::Scratch;

/// The world to begin with.
pub(super) struct Seed {
    scenario: Scenario,
    production: PathBuf,
    /// Package and configuration that the scenario releases.
    pub(super) release: Option<(PathBuf, Option<PathBuf>)>,
}

impl Seed {
    /// From the flags and the scenario file; the storefront fills what is left open.
    pub(super) fn read(matches: &ArgMatches, storefront: &Path) -> Result<Self, Error> {
        let mut scenario = match matches.get_one::<String>("scenario") {
            Some(path) => read_scenario(Path::new(path))?,
            None => Scenario::default(),
        };
        if matches.get_flag("realistic") {
            scenario = scenario.realistic();
        }
        let release = scenario.release.as_ref().map(|seed| (seed.package.clone(), seed.config.clone()));
        Ok(Self { scenario, production: storefront.join("v1"), release })
    }
}

/// Starts the emulator with its files in a folder.
pub(super) async fn start(seed: Seed, folder: &Path) -> Result<Emulator, Error> {
    let options = Options {
        scenario: seed.scenario,
        production: Some(seed.production),
        folder: folder.join("emulator"),
        client_secret: None,
        environment: programs(),
    };
    emulator::start(options).await.map_err(|error| Error::Emulator(error.to_string()))
}

/// What an app's process needs to find its programs, and nothing else of ours.
fn programs() -> BTreeMap<OsString, OsString> {
    let names = ["PATH", "LANG", "SYSTEMROOT", "PATHEXT", "COMSPEC"];
    names.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect()
}

/// Serves until a signal.
pub(super) async fn serve(matches: &ArgMatches, mut cancelled: watch::Receiver<bool>) -> Result<u8, Error> {
    let folder = Scratch::new()?;
    let storefront = unpack_storefront(folder.path())?;
    let mut seed = Seed::read(matches, &storefront)?;
    if let Some(package) = matches.get_one::<String>("package") {
        // A flag wins over the file.
        let package = PathBuf::from(package);
        if !package.exists() {
            return Err(problem("package", format!("there is no file or folder {}", package.display())));
        }
        seed.scenario.slots.entry(SlotName::production()).or_default().package = Some(package);
    }
    let ready_file = matches.get_one::<String>("ready-file");
    if let Some(old) = ready_file {
        // An old one would tell of endpoints that are gone.
        let _ = std::fs::remove_file(old);
    }
    let mut emulator = start(seed, folder.path()).await?;
    let written = announce(matches, &emulator);
    if written.is_ok() {
        tokio::select! {
            _ = cancelled.wait_for(|stop| *stop) => {}
            () = emulator.until_asked_to_stop() => {}
        }
    }
    emulator.shutdown().await;
    drop(folder);
    if let Some(path) = ready_file {
        let _ = std::fs::remove_file(path);
    }
    written.map(|()| 0)
}

fn announce(matches: &ArgMatches, emulator: &Emulator) -> Result<(), Error> {
    if matches.get_flag("print-env") {
        write_out(&emulator.print_env());
    }
    let ready =
        serde_json::to_string_pretty(emulator.ready()).map_err(|error| Error::Emulator(error.to_string()))?;
    match matches.get_one::<String>("ready-file") {
        Some(path) => write_ready(Path::new(path), &ready)
            .map_err(|error| Error::Write { path: path.clone(), reason: error.to_string() }),
        None if matches.get_flag("print-env") => Ok(()),
        None => {
            // Read as JSON it is the same; as lines of a pipeline's log it gives no orders.
            write_out(&json::text(&serde_json::json!(emulator.ready())));
            Ok(())
        }
    }
}

/// Written beside it and renamed, so that a reader never sees half of it; for its owner
/// only, for it holds the client secret.
fn write_ready(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let part = PathBuf::from(format!("{}.part", path.display()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    writeln!(options.open(&part)?, "{text}")?;
    std::fs::rename(&part, path)
}

fn read_scenario(path: &Path) -> Result<Scenario, Error> {
    let text = read_text(path)
        .map_err(|error| problem("scenario", format!("{} could not be read: {error}", path.display())))?;
    let mut scenario = Scenario::from_yaml(&text).map_err(|error| {
        let (line, column) = error.at.unwrap_or((1, 1));
        problem("scenario", format!("{}:{line}:{column}: {error}", path.display()))
    })?;
    scenario.relative_to(path.parent().unwrap_or_else(|| Path::new(".")));
    let release = scenario.release.iter().flat_map(|seed| seed.config.iter().chain([&seed.package]));
    let images = scenario.images.values().map(|image| &image.package);
    let named = scenario.slots.values().filter_map(|slot| slot.package.as_ref()).chain(release).chain(images);
    let missing = named.into_iter().find(|path| !path.exists()).cloned();
    match missing {
        Some(path) => Err(problem("scenario", format!("it names {}, which is not there", path.display()))),
        None => Ok(scenario),
    }
}
