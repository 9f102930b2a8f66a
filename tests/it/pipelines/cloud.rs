//! The emulator with an application that both hosts may sign in as, and the services that
//! give out the hosts' tokens.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::issuer::{self, Issuer};
use crate::harness::Place;
use crate::service::Service;

/// A secret with everything in it that some encoding changes.
pub(super) const CLIENT_SECRET: &str = "pl4nted~client/sec+ret=<\"&'>%7B\\q\u{e9} e";

/// What the runs of these tests are limited to.
const CONFIG: &str =
    "limits: {settle: 1s, no-progress: 3s, swap: 20s, ready: 10s}\nproduction: {for: 0s, passes: 1}\n";

/// The checks of the scripted apps.
const CHECKS: &str =
    "checks: [{name: health, path: /health, retry-for: 300ms, every: 100ms, expect: {status: 200}}]\n";

/// Everything outside of a job.
pub(super) struct Cloud {
    pub(super) service: Service,
    pub(super) issuer: Issuer,
}

impl Cloud {
    /// With the credentials and this of a scenario.
    pub(super) fn start(mut scenario: Value) -> Self {
        let key = issuer::public_key();
        let subjects = [
            (issuer::GITHUB, "repo:contoso/shop:environment:staging"),
            (issuer::GITHUB, "repo:contoso/shop:environment:production"),
            (issuer::AZURE_DEVOPS, "sc://contoso/shop/contoso-staging"),
            (issuer::AZURE_DEVOPS, "sc://contoso/shop/contoso-production"),
        ];
        let credentials: Vec<Value> = subjects
            .iter()
            .map(|(issuer, subject)| json!({"issuer": issuer, "subject": subject, "keys": [key]}))
            .collect();
        scenario["application"] = json!({
            "client-secret": CLIENT_SECRET,
            "federated-credentials": credentials,
            "certificates": [key],
        });
        let service = Service::start(&scenario.to_string());
        let issuer = service.block_on(Issuer::start());
        Self { service, issuer }
    }

    /// Settings that differ from slot to slot, which `examples/apps/breaks-in-production` looks at.
    pub(super) fn with_payments() -> Self {
        Self::start(json!({"slots": {
            "production": {"slot-settings": {"PAYMENTS": "live"}},
            "staging": {"slot-settings": {"PAYMENTS": "sandbox"}},
        }}))
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.service.get(name)
    }

    /// The certificates of the emulator and of the token services in one file of a job's.
    pub(super) fn trust(&self, folder: &Path) -> PathBuf {
        let emulator = std::fs::read_to_string(self.get("ca_file")).expect("a certificate");
        let path = folder.join("trusted.pem");
        std::fs::write(&path, format!("{emulator}\n{}", self.issuer.ca)).expect("a written file");
        path
    }

    /// How many requests Azure has seen.
    pub(super) fn requests(&self) -> usize {
        let requests = self.service.control("GET", "requests", &Value::Null);
        let requests = requests.as_array().expect("a list").iter();
        requests.filter(|request| request["service"] != "control").count()
    }

    /// Which builds production and staging serve in the world.
    pub(super) fn builds(&self) -> [String; 2] {
        ["production", "staging"]
            .map(|slot| self.service.serves(slot).as_str().unwrap_or_default().to_owned())
    }
}

/// A job's workspace with what its build made: an app of `examples/apps`.
pub(super) fn workspace(app: &str) -> Place {
    let place = Place::new();
    place.write("slotway.yml", format!("{CONFIG}{CHECKS}"));
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/apps").join(app);
    let text = std::fs::read_to_string(from.join("scripted-app.yml")).expect("an example app");
    place.write("dist/scripted-app.yml", text);
    place
}
