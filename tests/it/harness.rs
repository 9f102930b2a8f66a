//! Runs the real binary in a clean environment and in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Waits for something that is asked for again and again, and says what it was if it does not come.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder to run in, gone at the end.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temp folder") }
    }

    /// A folder in memory, if this machine has such a place with so much room.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_memory(bytes: u64, files: u64) -> Option<Self> {
        let memory = Path::new("/dev/shm");
        let room = nix::sys::statvfs::statvfs(memory).ok()?;
        let is_roomy =
            room.blocks_available() * room.fragment_size() >= bytes && room.files_available() >= files;
        is_roomy.then(|| tempfile::tempdir_in(memory).ok().map(|folder| Self { folder })).flatten()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a written file");
        path
    }

    /// The binary, with nothing of this process's environment but where programs are.
    pub(crate) fn slotway(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slotway"));
        command.env_clear().current_dir(self.path()).args(arguments).stdin(Stdio::null());
        for name in ["PATH", "SYSTEMROOT", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Whatever a run forgets to clear away shows in this folder.
        let temp = self.path().join("tmp");
        std::fs::create_dir_all(&temp).expect("a folder");
        command.env("TMPDIR", &temp).env("TEMP", &temp).env("TMP", &temp);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        Finished::from(self.slotway(arguments).output().expect("the binary runs"))
    }

    /// What runs have left in their temp folder.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path().join("tmp")) else { return Vec::new() };
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// Text with this folder's path taken out, so that it compares.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.path().display().to_string(), "@FOLDER@")
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// The JSON report on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON report: {error}\n{}\n{}", self.stdout, self.stderr))
    }
}
