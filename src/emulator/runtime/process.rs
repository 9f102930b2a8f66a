//! Runs an app as a child process.
//!
//! Owns its whole process group: nothing of it outlives the instance, nor the
//! emulator, however that ends. Must not know why it starts or stops.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep_until, timeout};

use crate::emulator::world::AppSpec;

/// How long an app may take to end after SIGTERM; the platform's own value is unconfirmed.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the command in `$1`, and beside it a watchdog that kills the group when the pipe at
/// its standard input closes: when the emulator lets go of it, or is gone itself.
#[cfg(unix)]
const WRAPPER: &str =
    "exec 3<&0 </dev/null; (cat; kill -KILL 0) <&3 >/dev/null 2>&1 & exec 3<&-; exec sh -c \"$1\"";

/// Finds a port that is free now.
pub(super) async fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(listener.local_addr()?.port())
}

/// A running app and its process group.
pub(super) struct Process {
    child: Child,
    /// The leader's id is the group's.
    group: Option<i32>,
    /// The watchdog's pipe: open as long as the app may run. Waiting for the child would close it.
    leash: Option<ChildStdin>,
}

/// Starts an app. Its environment is the given one only: nothing of the emulator's own.
pub(super) fn start(
    app: &AppSpec,
    command: &str,
    port: u16,
    base: &BTreeMap<OsString, OsString>,
) -> std::io::Result<Process> {
    let mut shell = shell(command);
    shell
        .current_dir(&app.folder)
        .env_clear()
        .envs(base)
        .env("HOME", &app.home)
        .envs(&app.environment)
        .env("PORT", port.to_string())
        .env("HOST", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = shell.spawn()?;
    let leash = child.stdin.take();
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    Ok(Process { child, group, leash })
}

impl Process {
    /// What it writes: standard output and standard error.
    pub(super) fn outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Returns when it has ended by itself, in words.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("the app ended: {status}"),
            Err(error) => format!("the app was lost: {error}"),
        }
    }

    /// Ends it with all that it started: politely, then not.
    pub(super) async fn end(mut self) {
        self.signal(Ending::Asked);
        // One that is gone already needs no waiting.
        let _ = timeout(GRACE, self.child.wait()).await;
        self.signal(Ending::Forced);
        drop(self.leash.take());
        let _ = self.child.wait().await;
    }

    #[cfg(unix)]
    fn signal(&self, ending: Ending) {
        use nix::sys::signal::{Signal, killpg};
        let signal = match ending {
            Ending::Asked => Signal::SIGTERM,
            Ending::Forced => Signal::SIGKILL,
        };
        if let Some(group) = self.group {
            // A group that is empty by now is what is wanted.
            let _ = killpg(nix::unistd::Pid::from_raw(group), signal);
        }
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _: Ending) {
        // There is no polite way, and no group.
        let _ = self.child.start_kill();
    }
}

#[derive(Clone, Copy)]
enum Ending {
    Asked,
    Forced,
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WRAPPER, "sh", command]).process_group(0);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/C", command]);
    shell
}

/// Returns when the port accepts a connection.
pub(super) async fn answers(port: u16) {
    // No event tells of a listening port, so it is tried: often at first, then less.
    let mut pause = Duration::from_millis(5);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        sleep_until(Instant::now() + pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::emulator::world::SlotRef;
    use crate::names::SiteName;

    fn start_in(folder: &std::path::Path, command: &str) -> Process {
        let app = AppSpec {
            slot: SlotRef::production(SiteName::new("app").expect("name")),
            folder: folder.to_owned(),
            home: folder.to_owned(),
            missing_image: None,
            start_command: None,
            environment: BTreeMap::new(),
            worker_index: 0,
        };
        let path = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
        start(&app, command, 1, &path).expect("starts")
    }

    #[tokio::test]
    async fn an_app_ends_when_the_pipe_closes_as_it_does_when_the_emulator_is_killed() {
        let folder = tempfile::tempdir().expect("folder");
        let mut process = start_in(folder.path(), "sleep 1000; echo never");
        process.leash = None;
        let ended = timeout(Duration::from_secs(30), process.ended()).await.expect("ends");
        assert!(ended.contains("signal: 9"), "{ended}");
    }

    #[tokio::test]
    async fn an_app_that_listens_to_sigterm_may_end_by_itself() {
        let folder = tempfile::tempdir().expect("folder");
        let command = "trap 'echo bye > bye.txt; exit 0' TERM; touch up.txt; while :; do sleep 0.02; done";
        let process = start_in(folder.path(), command);
        let up = folder.path().join("up.txt");
        let is_up = async {
            while !up.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), is_up).await.expect("starts");
        process.end().await;
        assert_eq!(std::fs::read_to_string(folder.path().join("bye.txt")).expect("said bye"), "bye\n");
    }
}
