//! Runs a command whose exit code is the verdict.
//!
//! Owns the child process: its group is ended when its time is up, when whatever
//! it left behind holds on to its output, and when the run is given up. Must not
//! read the environment: the child gets exactly what the caller brings.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::duration::show_duration;
use super::spec::CommandLine;
use super::verdict::Verdict;
use crate::text;

/// As much of the output's end as is kept.
const LONGEST_TAIL: usize = 16 * 1024;
/// Lines of it that are reported, and how long each may be.
const TAIL_LINES: usize = 40;
const LONGEST_LINE: usize = 300;
/// For ending by itself after being asked to; for the output to end after the command has.
const GRACE: Duration = Duration::from_secs(2);

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// Its verdict, from its exit code.
    pub verdict: Verdict,
    /// One line that tells why.
    pub detail: String,
    /// The end of its output, made printable; none where it wrote nothing.
    pub output_tail: Option<String>,
    /// Whether its time ran out.
    pub timed_out: bool,
}

/// Runs the command in a shell with this environment and no other, for at most `limit`.
pub async fn run_command(
    command: &CommandLine,
    environment: &[(String, String)],
    working_directory: Option<&Path>,
    limit: Duration,
) -> CommandOutcome {
    let mut child = match spawn(command, environment, working_directory) {
        Ok(child) => child,
        Err(error) => {
            let detail = text::short(&format!("the command could not be started: {error}"), LONGEST_LINE);
            return CommandOutcome { verdict: Verdict::Error, detail, output_tail: None, timed_out: false };
        }
    };
    let tail = Mutex::new(Tail::default());
    let ended = follow(&mut child, &tail, limit).await;
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    let timed_out = matches!(ended, Ok(None));
    let (verdict, mut detail) = match ended {
        Ok(Some(status)) => judge(command, status),
        Ok(None) => (Verdict::Error, format!("no end within {}, stopped", show_duration(limit))),
        Err(error) => (Verdict::Error, format!("the command could not be followed: {error}")),
    };
    let output_tail = tail.shown();
    if let Some(last) =
        output_tail.as_deref().and_then(|text| text.lines().last()).filter(|_| !verdict.is_pass())
    {
        detail = format!("{detail}: {last}");
    }
    CommandOutcome { verdict, detail: text::short(&detail, LONGEST_LINE), output_tail, timed_out }
}

fn spawn(
    command: &CommandLine,
    environment: &[(String, String)],
    working_directory: Option<&Path>,
) -> std::io::Result<Child> {
    let mut child = shell(&command.line);
    child
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(folder) = working_directory {
        child.current_dir(folder);
    }
    child.spawn()
}

#[cfg(unix)]
fn shell(line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    // A group of its own, so that all it starts can be ended together.
    shell.arg("-c").arg(line).process_group(0);
    shell
}

#[cfg(windows)]
fn shell(line: &str) -> Command {
    let mut shell = Command::new("cmd");
    // With /S the shell takes off the outer quotes and leaves the line as it stands.
    shell.raw_arg("/D /S /C").raw_arg(format!("\"{line}\""));
    shell
}

/// Waits for the end of the command; none: its time ran out and it was stopped.
async fn follow(
    child: &mut Child,
    tail: &Mutex<Tail>,
    limit: Duration,
) -> std::io::Result<Option<ExitStatus>> {
    let mut group = Group::of(child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async {
        tokio::join!(drain(stdout, tail), drain(stderr, tail));
    };
    tokio::pin!(output);
    let mut output_ended = false;
    let ended = tokio::time::timeout(limit, async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                () = &mut output, if !output_ended => output_ended = true,
            }
        }
    })
    .await;
    if let Ok(status) = ended {
        // Whoever still holds the output after this is a left-over of the command; as long as it lives, the
        // group's number belongs to nobody else.
        if !output_ended && tokio::time::timeout(GRACE, &mut output).await.is_err() {
            group.kill().await;
            let _ = tokio::time::timeout(GRACE, &mut output).await;
        }
        group.disarm();
        return status.map(Some);
    }
    // The child is not waited for until its group has been killed: until then its number cannot be given away.
    group.ask_to_end();
    if !output_ended {
        let _ = tokio::time::timeout(GRACE, &mut output).await;
    }
    group.kill().await;
    child.wait().await?;
    group.disarm();
    Ok(None)
}

async fn drain(stream: Option<impl AsyncRead + Unpin>, tail: &Mutex<Tail>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        tail.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..count]);
    }
}

fn judge(command: &CommandLine, status: ExitStatus) -> (Verdict, String) {
    let Some(code) = status.code() else {
        return (Verdict::Error, format!("ended by {}", signal(status)));
    };
    match (code, command.exits.get(&code)) {
        (_, Some(verdict)) => (*verdict, format!("exit code {code}, which stands for {verdict}")),
        (0, None) => (Verdict::Pass, "exit code 0".to_owned()),
        // What the shells say of a command that is not there or is no program; nothing was measured.
        (126 | 127, None) if cfg!(unix) => (Verdict::Error, format!("exit code {code}, no such command")),
        (9009, None) if cfg!(windows) => (Verdict::Error, format!("exit code {code}, no such command")),
        _ => (Verdict::Fail, format!("exit code {code}")),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    status.signal().map_or_else(|| "an unknown cause".to_owned(), |number| format!("signal {number}"))
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> String {
    "an unknown cause".to_owned()
}

/// The processes that the command started, killed when this is dropped while armed.
struct Group {
    leader: Option<u32>,
}

impl Group {
    fn of(child: &Child) -> Self {
        Self { leader: child.id() }
    }

    fn disarm(&mut self) {
        self.leader = None;
    }

    #[cfg(unix)]
    fn signal(&self, signal: nix::sys::signal::Signal) {
        if let Some(leader) = self.leader.and_then(|id| i32::try_from(id).ok()) {
            // Nobody left to be killed is what is wanted.
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), signal);
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    #[cfg(unix)]
    async fn kill(&self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }

    #[cfg(not(unix))]
    fn ask_to_end(&self) {}

    #[cfg(not(unix))]
    async fn kill(&self) {
        if let Some(leader) = self.leader {
            let mut killer = Command::new("taskkill");
            killer.args(["/T", "/F", "/PID", &leader.to_string()]);
            killer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // A process that has ended meanwhile is what is wanted.
            let _ = killer.status().await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }
}

/// The end of an output.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    cut: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        if let Some(excess) = self.bytes.len().checked_sub(LONGEST_TAIL).filter(|excess| *excess > 0) {
            self.bytes.drain(..excess);
            self.cut = true;
        }
    }

    fn shown(self) -> Option<String> {
        let text = String::from_utf8_lossy(&Vec::from(self.bytes)).into_owned();
        let mut lines = text.lines();
        if self.cut {
            // The first line has lost its beginning.
            lines.next();
        }
        let lines: Vec<String> =
            lines.map(|line| text::short(line, LONGEST_LINE)).filter(|line| !line.is_empty()).collect();
        let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        (!shown.is_empty()).then(|| shown.join("\n"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn line(line: &str) -> CommandLine {
        CommandLine { line: line.to_owned(), exits: BTreeMap::from([(75, Verdict::Inconclusive)]) }
    }

    fn environment() -> Vec<(String, String)> {
        vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("GREETING".to_owned(), "hi".to_owned())]
    }

    async fn run(text: &str, limit: Duration) -> CommandOutcome {
        run_command(&line(text), &environment(), None, limit).await
    }

    fn is_alive(process: i32) -> bool {
        // A zombie that nobody has reaped yet is dead.
        std::fs::read_to_string(format!("/proc/{process}/stat"))
            .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
    }

    #[tokio::test]
    async fn the_exit_code_is_the_verdict() {
        let limit = Duration::from_secs(20);
        for (text, verdict, detail) in [
            ("true", Verdict::Pass, "exit code 0"),
            ("echo not good >&2; exit 3", Verdict::Fail, "exit code 3: not good"),
            ("exit 75", Verdict::Inconclusive, "exit code 75, which stands for inconclusive"),
            ("kill -9 $$", Verdict::Error, "ended by signal 9"),
        ] {
            let outcome = run(text, limit).await;
            assert_eq!((outcome.verdict, outcome.detail.as_str()), (verdict, detail), "{text}");
        }
        assert_eq!(run("no-such-command-anywhere", limit).await.verdict, Verdict::Error);
    }

    #[tokio::test]
    async fn the_child_gets_the_given_environment_and_no_other() {
        let outcome = run("echo \"$GREETING $HOME|\"; pwd >/dev/null", Duration::from_secs(20)).await;
        assert_eq!(outcome.output_tail.as_deref(), Some("hi |"));
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_no_verdict_on_the_app() {
        let folder = Path::new("/no/such/folder");
        let outcome = run_command(&line("true"), &[], Some(folder), Duration::from_secs(5)).await;
        assert_eq!(outcome.verdict, Verdict::Error);
        assert!(outcome.detail.starts_with("the command could not be started"), "{}", outcome.detail);
    }

    #[tokio::test]
    async fn only_the_printable_end_of_a_long_output_is_kept() {
        let outcome = run("seq 1 50000; printf 'a\\033[31m\\000b\\n'", Duration::from_secs(20)).await;
        let tail = outcome.output_tail.expect("output");
        assert!(tail.len() < LONGEST_TAIL && tail.lines().count() == TAIL_LINES);
        assert!(tail.ends_with("\n50000\na [31m b"), "{tail}");
    }

    #[tokio::test]
    async fn time_up_ends_the_whole_group_even_if_it_will_not_listen() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let path = file.path().display();
        // The grandchild closes the output, so that only its group leads to it.
        let text = format!(
            "trap '' TERM; (trap '' TERM; exec sleep 300) >/dev/null 2>&1 & echo $! > {path}; sleep 300"
        );
        let started = std::time::Instant::now();
        let outcome = run(&text, Duration::from_millis(500)).await;
        assert!(outcome.timed_out && outcome.verdict == Verdict::Error);
        assert_eq!(outcome.detail, "no end within 500 ms, stopped");
        assert!(started.elapsed() < Duration::from_secs(60));
        let grandchild: i32 =
            std::fs::read_to_string(file.path()).expect("id").trim().parse().expect("number");
        let gone = async {
            while is_alive(grandchild) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the grandchild has ended");
    }

    #[tokio::test]
    async fn giving_up_the_run_ends_the_group() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let text = format!("sleep 300 & echo $! > {}; wait", file.path().display());
        let command = line(&text);
        let environment = environment();
        let running = run_command(&command, &environment, None, Duration::from_secs(300));
        let written = async {
            while !std::fs::read_to_string(file.path()).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            outcome = running => panic!("ended by itself: {outcome:?}"),
            () = written => {}
        }
        let grandchild: i32 =
            std::fs::read_to_string(file.path()).expect("id").trim().parse().expect("number");
        let gone = async {
            while is_alive(grandchild) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the grandchild has ended");
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_does_not_hold_up_its_verdict() {
        let outcome = run("sleep 300 & exit 0", Duration::from_secs(200)).await;
        assert_eq!((outcome.verdict, outcome.timed_out), (Verdict::Pass, false));
    }
}
