//! The agent of Azure Pipelines: the environment of a task, the commands that it finds in
//! the log, and what they come to (azure-pipelines §3 to §6, sign-in §3).

use std::path::Path;

use serde_json::{Value, json};

use super::cloud::Cloud;
use super::example::{Values, document};
use super::issuer;
use super::started::{HostCommand, Started, machine};
use crate::harness::Place;

const JOB_TOKEN: &str = "job-access-token-of-the-agent";

/// How a service connection signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Federated,
    Secret,
    Certificate,
    ManagedIdentity,
}

/// A machine that runs one job in a workspace of its own.
pub(super) struct Agent<'a> {
    cloud: &'a Cloud,
    pub(super) place: Place,
    scheme: Scheme,
    /// Variables of the job, as the agent sets them.
    pub(super) environment: Values,
}

/// A task that has run.
pub(super) struct Ran {
    /// Whether the agent shows the step as succeeded.
    pub(super) succeeded: bool,
    pub(super) log: String,
    pub(super) commands: Vec<HostCommand>,
    /// Its output variables.
    pub(super) outputs: Values,
    /// What it keeps for its own post hook.
    task_variables: Values,
    /// What was in the files that it handed over, by command.
    files: Vec<(String, String)>,
    /// The report that it left for later steps.
    pub(super) report: Value,
}

impl Ran {
    /// The texts of the issues of a kind.
    pub(super) fn issues(&self, kind: &str) -> Vec<String> {
        let issues = self.commands.iter().filter(|command| command.name == "task.logissue");
        issues.filter(|issue| issue.property("type") == kind).map(|issue| issue.data.clone()).collect()
    }

    pub(super) fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name}\n{}", self.log))
    }

    /// What was in the one file that a command handed over.
    pub(super) fn file(&self, command: &str) -> &str {
        let found: Vec<_> = self.files.iter().filter(|(name, _)| name == command).collect();
        assert_eq!(found.len(), 1, "{command}: {}", self.log);
        &found[0].1
    }
}

impl<'a> Agent<'a> {
    /// The emulator is what the service connection points to; its certificate is one that the agent is
    /// configured to trust.
    pub(super) fn new(cloud: &'a Cloud, place: Place) -> Self {
        let folder = place.path().to_owned();
        let mut environment = machine(&folder);
        let temp = folder.join("_temp");
        std::fs::create_dir_all(&temp).expect("a folder");
        let path = |path: &Path| path.display().to_string();
        for (name, value) in [
            ("TF_BUILD", "True"),
            ("AGENT_ID", "7"),
            ("AGENT_ISSELFHOSTED", "1"),
            ("AGENT_JOBNAME", "Job"),
            ("AGENT_JOBSTATUS", "Succeeded"),
            ("AGENT_NAME", "agent-7"),
            ("AGENT_OS", "Linux"),
            ("AGENT_OSARCHITECTURE", "X64"),
            ("AGENT_VERSION", "4.273.0"),
            ("AGENT_CAINFO", &path(&cloud.trust(&temp))),
            ("AGENT_TEMPDIRECTORY", &path(&temp)),
            ("AGENT_TOOLSDIRECTORY", &path(&folder.join("_tool"))),
            ("AGENT_WORKFOLDER", &path(&folder)),
            ("BUILD_BUILDID", "4711"),
            ("BUILD_BUILDNUMBER", "20261121.7"),
            ("BUILD_DEFINITIONNAME", "shop release"),
            ("BUILD_REASON", "IndividualCI"),
            ("BUILD_REPOSITORY_NAME", "shop"),
            ("BUILD_SOURCEBRANCH", "refs/heads/main"),
            ("BUILD_SOURCEBRANCHNAME", "main"),
            ("BUILD_SOURCESDIRECTORY", &path(&folder)),
            ("BUILD_SOURCEVERSION", "5c1e0ffb5d3ab7c8a1c6d1f3a0e8e0b4c2d6f7a9"),
            ("BUILD_SOURCEVERSIONMESSAGE", "a message ##vso[task.complete result=Failed;]"),
            ("COMMAND_CORRELATION_ID", "0f0f0f0f-0000-4000-8000-000000000007"),
            ("ENDPOINT_URL_SYSTEMVSSCONNECTION", "https://dev.azure.com/contoso/"),
            ("ENDPOINT_AUTH_SCHEME_SYSTEMVSSCONNECTION", "OAuth"),
            ("ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN", JOB_TOKEN),
            ("PIPELINE_WORKSPACE", &path(&folder)),
            ("SLOTWAY_BINARY", env!("CARGO_BIN_EXE_slotway")),
            ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/contoso/"),
            ("SYSTEM_DEBUG", "false"),
            ("SYSTEM_DEFAULTWORKINGDIRECTORY", &path(&folder)),
            ("SYSTEM_HOSTTYPE", "build"),
            ("SYSTEM_JOBATTEMPT", "1"),
            ("SYSTEM_JOBID", "12f1170f-54f2-53f3-20dd-22fc7dff55f9"),
            ("SYSTEM_PLANID", "60cf4508-70a7-5ba0-b727-9dd7f6763eb4"),
            ("SYSTEM_STAGEATTEMPT", "1"),
            ("SYSTEM_TEAMPROJECT", "shop"),
            ("SYSTEM_TEAMPROJECTID", "8b8f8a34-0000-4000-8000-000000000001"),
            ("TASK_DISPLAYNAME", "Slotway"),
            ("VSTS_PUBLIC_VARIABLES", "[\"build.buildId\"]"),
            ("VSTS_SECRET_VARIABLES", "[]"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        let auth = json!({"scheme": "OAuth", "parameters": {"AccessToken": JOB_TOKEN}});
        environment.insert("ENDPOINT_AUTH_SYSTEMVSSCONNECTION".to_owned(), auth.to_string());
        let oidc = format!("{}/contoso/hubs/build/plans/1/jobs/2/oidctoken", cloud.issuer.base);
        environment.insert("SYSTEM_OIDCREQUESTURI".to_owned(), oidc);
        Self { cloud, place, scheme: Scheme::Federated, environment }
    }

    pub(super) fn connected_by(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Runs the task to its end.
    pub(super) fn run(&self, inputs: &Values) -> Ran {
        read(self.start(inputs))
    }

    /// Starts the task.
    pub(super) fn start(&self, inputs: &Values) -> Started {
        self.start_hook("execution", inputs, &Values::new()).expect("a task executes something")
    }

    /// Runs the hook that the agent runs after all steps of the job, whatever became of them.
    pub(super) fn post(&self, inputs: &Values, step: &Ran) -> Option<Ran> {
        self.start_hook("postjobexecution", inputs, &step.task_variables).map(read)
    }

    fn start_hook(&self, hook: &str, inputs: &Values, kept: &Values) -> Option<Started> {
        let task = document("task.json");
        let script = task[hook]["Node20_1"]["target"].as_str()?.to_owned();
        let mut environment = self.environment.clone();
        for (name, value) in kept {
            environment.insert(format!("VSTS_TASKVARIABLE_{}", name.to_uppercase()), value.clone());
        }
        let listed = task["inputs"].as_array().expect("inputs");
        let names = || listed.iter().filter_map(|input| input["name"].as_str());
        for name in inputs.keys() {
            assert!(names().any(|listed| listed == name), "the task has no input {name}");
        }
        for input in listed {
            let name = input["name"].as_str().expect("a name");
            let given = inputs.get(name).map(String::as_str).or_else(|| input["defaultValue"].as_str());
            let mut value = given.unwrap_or_default().to_owned();
            if input["type"] == "connectedService:AzureRM" && !value.is_empty() {
                value = self.connect(&value, &mut environment);
            }
            environment.insert(format!("INPUT_{}", name.replace(['.', ' '], "_").to_uppercase()), value);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        Some(Started::node(&script, self.place.path(), &environment))
    }

    /// What the agent gives of a service connection (agent Handler.cs): each value twice, alone and in a JSON
    /// document. Gives the id, which is what the input holds then.
    fn connect(&self, name: &str, environment: &mut Values) -> String {
        let id = uuid::Uuid::from_u128(u128::from(name.len() as u64) << 64 | 0xaa).to_string();
        let cloud = self.cloud;
        let mut parameters = json!({"tenantid": cloud.get("tenant_id")});
        let scheme = match self.scheme {
            Scheme::ManagedIdentity => "ManagedServiceIdentity",
            Scheme::Federated => {
                cloud.issuer.grant(JOB_TOKEN, &id, &format!("sc://contoso/shop/{name}"));
                parameters["serviceprincipalid"] = json!(cloud.get("client_id"));
                "WorkloadIdentityFederation"
            }
            Scheme::Secret => {
                parameters["serviceprincipalid"] = json!(cloud.get("client_id"));
                parameters["authenticationType"] = json!("spnKey");
                parameters["serviceprincipalkey"] = json!(cloud.get("client_secret"));
                "ServicePrincipal"
            }
            Scheme::Certificate => {
                parameters["serviceprincipalid"] = json!(cloud.get("client_id"));
                parameters["authenticationType"] = json!("spnCertificate");
                let pem = format!("{}{}", issuer::pem("certificate.pem"), issuer::pem("key-pkcs8.pem"));
                parameters["servicePrincipalCertificate"] = json!(pem);
                "ServicePrincipal"
            }
        };
        let data = json!({
            "subscriptionid": cloud.get("subscription_id"),
            "subscriptionname": "Contoso",
            "environment": "AzureStack",
            "scopeLevel": "Subscription",
            "activeDirectoryServiceEndpointResourceId": cloud.get("resource_manager"),
        });
        let mut add = |kind: &str, value: &str| {
            environment.insert(format!("ENDPOINT_{kind}"), value.to_owned());
        };
        add(&format!("URL_{id}"), cloud.get("resource_manager"));
        add(&format!("AUTH_SCHEME_{id}"), scheme);
        add(&format!("AUTH_{id}"), &json!({"scheme": scheme, "parameters": parameters}).to_string());
        add(&format!("DATA_{id}"), &data.to_string());
        for (kind, values) in [("AUTH_PARAMETER", &parameters), ("DATA", &data)] {
            for (key, value) in values.as_object().expect("a mapping") {
                let key = key.to_uppercase().replace(['.', ' '], "_");
                add(&format!("{kind}_{id}_{key}"), value.as_str().expect("a text"));
            }
        }
        id
    }
}

/// Waits for a hook's end and does what the agent does with its log.
pub(super) fn read(started: Started) -> Ran {
    let (code, log) = started.end();
    assert_eq!(code, 0, "the agent takes any other exit code for a broken agent\n{log}");
    let commands = commands(&log);
    let mut outputs = Values::new();
    let mut task_variables = Values::new();
    let mut succeeded = true;
    let mut files = Vec::new();
    let allowed = document("task.json")["restrictions"]["settableVariables"]["allowed"].clone();
    for command in &commands {
        match command.name.as_str() {
            "task.setvariable" => {
                let name = command.property("variable");
                assert_eq!(command.property("isOutput"), "true", "{name}");
                let listed = allowed.as_array().expect("a list").contains(&Value::from(name));
                assert!(listed, "the task may not set {name}");
                assert!(!command.data.contains('\n'), "{name} has one line");
                assert!(
                    outputs.insert(name.to_owned(), command.data.clone()).is_none(),
                    "{name} is set once"
                );
            }
            // The worst of several counts.
            "task.uploadsummary" => files.push((command.name.clone(), content(&command.data))),
            "results.publish" => {
                assert_eq!(command.property("type"), "JUnit");
                files.push((command.name.clone(), content(command.property("resultFiles"))));
            }
            "task.settaskvariable" => {
                task_variables.insert(command.property("variable").to_owned(), command.data.clone());
            }
            "task.complete" => succeeded &= command.property("result").starts_with("Succeeded"),
            _ => {}
        }
    }
    let ended = commands.iter().any(|command| command.name == "task.complete");
    assert!(ended || log.is_empty(), "it says how it ended\n{log}");
    let report = outputs.get("reportFile").filter(|path| !path.is_empty());
    let report = report.map_or(Value::Null, |path| serde_json::from_str(&content(path)).expect("JSON"));
    Ran { succeeded, log, commands, outputs, task_variables, files, report }
}

/// A file that the agent uploads, at the time of the command.
fn content(path: &str) -> String {
    assert!(Path::new(path).is_absolute(), "{path}");
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The commands that this task uses, of those that the agent knows (azure-pipelines §5.2).
const KNOWN: [&str; 10] = [
    "task.logissue",
    "task.complete",
    "task.setvariable",
    "task.settaskvariable",
    "task.setsecret",
    "task.setprogress",
    "task.uploadsummary",
    "task.debug",
    "task.uploadfile",
    "results.publish",
];

/// The commands in a log, and the groups, found anywhere in a line (azure-pipelines §5.1, §5.3).
fn commands(log: &str) -> Vec<HostCommand> {
    let mut found = Vec::new();
    for line in log.lines() {
        for (mark, name) in [("##[group]", "group"), ("##[endgroup]", "endgroup")] {
            if let Some(title) = line.strip_prefix(mark) {
                found.push(HostCommand::new(name, Values::new(), title.to_owned()));
            }
        }
        let Some(at) = line.to_lowercase().find("##vso[") else { continue };
        let (head, message) = line[at + 6..].split_once(']').unwrap_or_else(|| panic!("no end: {line}"));
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        assert!(KNOWN.contains(&name), "no such command: {line}");
        let plain = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n");
        let pairs = properties.split(';').filter_map(|pair| pair.split_once('='));
        let properties = pairs.map(|(key, value)| {
            let value = plain(value).replace("%5D", "]").replace("%3B", ";").replace("%AZP25", "%");
            (key.trim().to_owned(), value)
        });
        let message = plain(message).replace("%AZP25", "%");
        found.push(HostCommand::new(name, properties.collect(), message));
    }
    found
}

#[test]
fn the_stand_in_reads_commands_by_the_agents_rules() {
    let found = commands("at ##vso[task.logissue type=error;code=a%5D%3B;]50%AZP25%0Aof it\nplain\n");
    assert_eq!((found[0].property("code"), found[0].data.as_str()), ("a];", "50%\nof it"));
    assert_eq!(found.len(), 1);
}
