//! A launcher that was started, and what came of it: one log, as the host reads it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// A command that a host found in the log, its values decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostCommand {
    pub(super) name: String,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) data: String,
}

impl HostCommand {
    pub(super) fn new(name: &str, properties: BTreeMap<String, String>, data: String) -> Self {
        Self { name: name.to_owned(), properties, data }
    }

    pub(super) fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }
}

/// A running launcher; standard output and standard error go to one pipe, as they do there.
pub(super) struct Started {
    child: Child,
    log: JoinHandle<String>,
}

impl Started {
    /// Node with a script and exactly this environment.
    pub(super) fn node(script: &Path, folder: &Path, environment: &BTreeMap<String, String>) -> Self {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new("node");
        command.arg(script).current_dir(folder).env_clear().envs(environment).stdin(Stdio::null());
        command.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
        let child = command.spawn().unwrap_or_else(|error| panic!("these tests need node on PATH: {error}"));
        let log = std::thread::spawn(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).expect("the log");
            String::from_utf8(text).expect("the log is UTF-8")
        });
        Self { child, log }
    }

    /// The signal that a host sends first when a run is cancelled: to node alone.
    pub(super) fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
    }

    /// Its exit code and its log.
    pub(super) fn end(mut self) -> (i32, String) {
        let status = self.child.wait().expect("it ends");
        (status.code().unwrap_or(-1), self.log.join().expect("a log"))
    }
}

/// What any process of a job has: where programs are, and a home.
pub(super) fn machine(folder: &Path) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for name in ["PATH", "SYSTEMROOT", "LLVM_PROFILE_FILE"] {
        if let Ok(value) = std::env::var(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    let home = folder.join("home");
    std::fs::create_dir_all(&home).expect("a folder");
    environment.insert("HOME".to_owned(), home.display().to_string());
    environment
}
