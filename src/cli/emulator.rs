//! The verb `emulator`, and what `rehearse` shares with it.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use tokio::sync::watch;

use super::context::{problem, write_file, write_out};
use super::rehearse::unpack_storefront;
use crate::emulator::scenario::Scenario;
use crate::emulator::{self, Emulator, Options};
use crate::error::Error;

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
    };
    emulator::start(options).await.map_err(|error| Error::Emulator(error.to_string()))
}

/// Serves until a signal.
pub(super) async fn serve(matches: &ArgMatches, mut cancelled: watch::Receiver<bool>) -> Result<u8, Error> {
    let folder = tempfile::tempdir()?;
    let storefront = unpack_storefront(folder.path())?;
    let mut seed = Seed::read(matches, &storefront)?;
    if let Some(package) = matches.get_one::<String>("package") {
        seed.production = PathBuf::from(package);
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
    let _ = folder.close();
    written.map(|()| 0)
}

fn announce(matches: &ArgMatches, emulator: &Emulator) -> Result<(), Error> {
    if matches.get_flag("print-env") {
        write_out(&emulator.print_env());
    }
    let ready =
        serde_json::to_string_pretty(emulator.ready()).map_err(|error| Error::Emulator(error.to_string()))?;
    match matches.get_one::<String>("ready-file") {
        // Written beside it and renamed, so that a reader never sees half of it.
        Some(path) => {
            let part = PathBuf::from(format!("{path}.part"));
            write_file(&part, &ready)?;
            std::fs::rename(&part, path)
                .map_err(|error| Error::Write { path: path.clone(), reason: error.to_string() })
        }
        None if matches.get_flag("print-env") => Ok(()),
        None => {
            write_out(&format!("{ready}\n"));
            Ok(())
        }
    }
}

fn read_scenario(path: &Path) -> Result<Scenario, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| problem("scenario", format!("{} could not be read: {error}", path.display())))?;
    let mut scenario = Scenario::from_yaml(&text).map_err(|error| {
        let (line, column) = error.at.unwrap_or((1, 1));
        problem("scenario", format!("{}:{line}:{column}: {error}", path.display()))
    })?;
    scenario.relative_to(path.parent().unwrap_or_else(|| Path::new(".")));
    let release = scenario.release.iter().flat_map(|seed| seed.config.iter().chain([&seed.package]));
    let named = scenario.slots.values().filter_map(|slot| slot.package.as_ref()).chain(release);
    let missing = named.into_iter().find(|path| !path.exists()).cloned();
    match missing {
        Some(path) => Err(problem("scenario", format!("it names {}, which is not there", path.display()))),
        None => Ok(scenario),
    }
}
