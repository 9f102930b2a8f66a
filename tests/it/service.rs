//! An emulated App Service in a process of its own, and the verbs that are run on it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Finished, Place};

/// A running `slotway emulator`, ended with the test.
pub(crate) struct Service {
    pub(crate) place: Place,
    pub(crate) ready: Value,
    child: Child,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Service {
    /// Starts it with a scenario (YAML, may be empty).
    pub(crate) fn start(scenario: &str) -> Self {
        Self::start_in(Place::new(), scenario)
    }

    /// The same in a folder that is there.
    pub(crate) fn start_in(place: Place, scenario: &str) -> Self {
        let mut arguments = vec!["emulator"];
        let file = place.write("scenario.yml", scenario).display().to_string();
        if !scenario.is_empty() {
            arguments.extend(["--scenario", &file]);
        }
        let mut child = place
            .slotway(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the emulator starts");
        let ready = read_object(&mut child);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = client(&ready);
        Self { place, ready, child, client, runtime }
    }

    /// One of the ready file's texts.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("{name} in {:#}", self.ready))
    }

    pub(crate) fn url(&self, slot: &str) -> String {
        self.ready["slots"][slot]["url"].as_str().expect("a URL").to_owned()
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Lets something run beside the test.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }

    /// A verb against it, as another process would run it: everything by flags but the secret.
    pub(crate) fn command(&self, verb: &str, more: &[&str]) -> Command {
        self.command_in(&self.place, verb, more)
    }

    /// The same in another folder and with another folder for temporary files, as on another machine.
    pub(crate) fn command_in(&self, place: &Place, verb: &str, more: &[&str]) -> Command {
        let mut command = place.slotway(&[verb, "--output", "json", "--environment", "AzureStack"]);
        for (flag, name) in [
            ("--resource-manager-url", "resource_manager"),
            ("--ca-file", "ca_file"),
            ("--tenant-id", "tenant_id"),
            ("--client-id", "client_id"),
            ("--subscription-id", "subscription_id"),
            ("--resource-group-name", "resource_group"),
            ("--app-name", "app_name"),
        ] {
            if !more.contains(&flag) {
                command.arg(flag).arg(self.get(name));
            }
        }
        command.args(more).env("AZURE_CLIENT_SECRET", self.get("client_secret"));
        command
    }

    /// Runs a verb and asserts what holds for every run: no secret in any output.
    pub(crate) fn run(&self, verb: &str, more: &[&str]) -> Finished {
        let finished = Finished::from(self.command(verb, more).output().expect("the binary runs"));
        self.assert_quiet(&finished);
        finished
    }

    /// The same from another machine: nothing is there but this `slotway.yml`.
    pub(crate) fn run_elsewhere(&self, config: &str, verb: &str, more: &[&str]) -> Finished {
        let place = Place::new();
        place.write("slotway.yml", config);
        let output = self.command_in(&place, verb, more).output();
        let finished = Finished::from(output.expect("the binary runs"));
        self.assert_quiet(&finished);
        finished
    }

    /// Whether the emulator has seen a request of this method whose path holds a word, so often.
    pub(crate) fn has_seen(&self, method: &str, word: &str, times: usize) -> bool {
        let alike = |request: &&Value| request["method"] == method && text(request, "path").contains(word);
        self.requests().iter().filter(alike).count() >= times
    }

    /// Whether it has seen such requests to these services, one after the other: a word of the path,
    /// or the slot.
    pub(crate) fn has_seen_in_order(&self, wanted: &[(&str, &str)]) -> bool {
        let mut left = wanted.iter().peekable();
        for request in self.requests() {
            left.next_if(|(service, word)| {
                let is_it = text(&request, "path").contains(word) || request["slot"] == *word;
                request["service"] == *service && is_it
            });
        }
        left.peek().is_none()
    }

    fn requests(&self) -> Vec<Value> {
        self.control("GET", "requests", &Value::Null).as_array().expect("a list").clone()
    }

    pub(crate) fn assert_quiet(&self, finished: &Finished) {
        for text in [&finished.stdout, &finished.stderr] {
            assert!(!text.contains(self.get("client_secret")), "the secret is in the output");
            assert!(!text.contains("eyJ"), "a token is in the output");
            assert!(!text.contains("panicked"), "{text}");
        }
    }

    /// A package of static files that tells its version.
    pub(crate) fn package(&self, version: &str) -> String {
        let name = format!("package-{version}");
        self.place.write(&format!("{name}/index.html"), format!("<p>version {version}</p>"));
        self.place.write(&format!("{name}/version.json"), json!({"version": version}).to_string());
        self.place.path().join(name).display().to_string()
    }

    /// Asks the control endpoint.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.get("control").trim_end_matches('/'));
        let method = method.parse().expect("a method");
        self.block_on(async {
            let answer = self
                .client
                .request(method, url)
                .body(body.to_string())
                .send()
                .await
                .expect("the control answers");
            let text = answer.text().await.expect("a body");
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
        })
    }

    pub(crate) fn act(&self, action: &Value) {
        let answer = self.control("POST", "act", action);
        assert!(answer.get("error").is_none(), "{answer}");
    }

    /// What the world says of a slot.
    pub(crate) fn slot(&self, name: &str) -> Value {
        let world = self.control("GET", "world", &Value::Null);
        world["sites"][self.get("app_name")]["slots"][name].clone()
    }

    /// The id of the deployment that a slot serves, as the world has it.
    pub(crate) fn serves(&self, slot: &str) -> Value {
        self.slot(slot)["active_deployment"].clone()
    }

    /// How many swaps were carried out.
    pub(crate) fn swaps(&self) -> usize {
        let world = self.control("GET", "world", &Value::Null);
        let milestones = world["milestones"].as_array().expect("a list");
        milestones.iter().filter(|reached| reached["milestone"] == "swap-switched").count()
    }

    /// Ends it with a signal, as a person would.
    pub(crate) fn end(mut self) -> Place {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
        std::mem::replace(&mut self.place, Place::new())
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the JSON object that the emulator prints once it serves.
fn read_object(child: &mut Child) -> Value {
    let mut text = String::new();
    let mut lines = BufReader::new(child.stdout.as_mut().expect("a pipe")).lines();
    loop {
        match lines.next() {
            Some(Ok(line)) => text.push_str(&line),
            _ => {
                let mut error = String::new();
                if let Some(stderr) = child.stderr.as_mut() {
                    std::io::Read::read_to_string(stderr, &mut error).expect("text");
                }
                panic!("the emulator ended before it served: {text}{error}");
            }
        }
        if let Ok(value) = serde_json::from_str(&text) {
            return value;
        }
    }
}

fn client(ready: &Value) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(ready["ca_file"].as_str().expect("a path")).expect("a certificate");
    reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).expect("certificates"))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}
