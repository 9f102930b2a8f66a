//! The one list of inputs. The command line is made from it, and whatever else
//! names inputs is held equal to it.

/// What kind of value an input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// `true` or `false`.
    Boolean,
    /// A secret: from the environment or a file, never from a flag.
    Secret,
}

/// Which verbs take an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Every verb that calls Azure.
    Azure,
    /// `release` and `deploy`.
    Deploying,
    /// `swap` and `rollback`.
    Later,
    /// A pipeline step, which has no command line.
    Step,
}

/// One input.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// Its name, as in Azure/webapps-deploy where that has it.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// Which verbs take it.
    pub verbs: For,
    /// One line for people.
    pub help: &'static str,
    /// A variable beside `SLOTWAY_…` that it is read from.
    pub also: Option<&'static str>,
}

impl Input {
    /// The environment variable that it is read from.
    pub fn variable(&self) -> String {
        match self.also {
            Some(name) => name.to_owned(),
            None => format!("SLOTWAY_{}", self.name.to_ascii_uppercase().replace('-', "_")),
        }
    }
}

const fn input(name: &'static str, kind: Kind, verbs: For, help: &'static str) -> Input {
    Input { name, kind, verbs, help, also: None }
}

const fn azure(name: &'static str, kind: Kind, help: &'static str, also: &'static str) -> Input {
    Input { name, kind, verbs: For::Azure, help, also: Some(also) }
}

/// Every input, in the order that people are shown.
pub const INPUTS: &[Input] = &[
    input(
        "command",
        Kind::Text,
        For::Step,
        "release, deploy, swap, rollback, settle, check, plan, status or rehearse (default: release)",
    ),
    input("app-name", Kind::Text, For::Azure, "the App Service app"),
    input(
        "resource-group-name",
        Kind::Text,
        For::Azure,
        "its resource group; found by the app's name if not given",
    ),
    input("slot-name", Kind::Text, For::Azure, "the slot that releases go through (default: staging)"),
    input(
        "package",
        Kind::Path,
        For::Deploying,
        "a folder, or a zip, war, jar or ear file; for a container give images instead",
    ),
    input(
        "images",
        Kind::Text,
        For::Deploying,
        "the image of a container, as registry/app:1.2; instead of a package",
    ),
    input(
        "startup-command",
        Kind::Text,
        For::Deploying,
        "the command that starts the app, set before the deployment; left as it is if not given",
    ),
    input(
        "type",
        Kind::Text,
        For::Deploying,
        "zip, war, jar, ear, static, script, startup or lib; detected if not given",
    ),
    input("target-path", Kind::Text, For::Deploying, "where the package goes, below the app's root"),
    input(
        "clean",
        Kind::Boolean,
        For::Deploying,
        "whether files that are not in the package are removed; App Service decides if not given",
    ),
    input(
        "restart",
        Kind::Boolean,
        For::Deploying,
        "whether the app is restarted after the deployment; App Service decides if not given",
    ),
    input(
        "release-id",
        Kind::Text,
        For::Later,
        "the release to swap in or to take back, as deploy prints it",
    ),
    input(
        "previous-build",
        Kind::Text,
        For::Later,
        "the build that production must serve before a swap, or get back by a rollback",
    ),
    azure("subscription-id", Kind::Text, "the subscription", "AZURE_SUBSCRIPTION_ID"),
    azure("tenant-id", Kind::Text, "the tenant to sign in to", "AZURE_TENANT_ID"),
    azure(
        "client-id",
        Kind::Text,
        "the application to sign in as; the Azure CLI's account if not given",
        "AZURE_CLIENT_ID",
    ),
    azure("client-secret", Kind::Secret, "its secret", "AZURE_CLIENT_SECRET"),
    input("client-secret-file", Kind::Path, For::Azure, "a file that holds the secret"),
    azure(
        "certificate-file",
        Kind::Path,
        "a PEM file with the application's certificate and its RSA key, instead of a secret",
        "AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    azure(
        "federated-token-file",
        Kind::Path,
        "a file that something else keeps filled with a fresh federated token, instead of a secret",
        "AZURE_FEDERATED_TOKEN_FILE",
    ),
    input(
        "creds",
        Kind::Secret,
        For::Azure,
        "the JSON of Azure/login: application, secret, tenant, subscription",
    ),
    input(
        "publish-profile",
        Kind::Secret,
        For::Azure,
        "the slot's publish profile, as downloaded; for deploy and check only",
    ),
    input(
        "azure-subscription",
        Kind::Text,
        For::Azure,
        "the service connection of Azure Pipelines to sign in with (in a script: its id)",
    ),
    input(
        "auth",
        Kind::Text,
        For::Azure,
        "how to sign in: github-oidc, azure-pipelines, client-secret, certificate, federated-token-file, azure-cli or managed-identity; found by what is given if not said",
    ),
    input(
        "audience",
        Kind::Text,
        For::Azure,
        "for whom GitHub writes its OIDC token (default: the cloud's token exchange)",
    ),
    input(
        "environment",
        Kind::Text,
        For::Azure,
        "AzureCloud, AzureUSGovernment, AzureChinaCloud or AzureStack (default: AzureCloud)",
    ),
    input(
        "resource-manager-url",
        Kind::Text,
        For::Azure,
        "the resource manager of an AzureStack environment",
    ),
    input("ca-file", Kind::Path, For::Azure, "PEM certificates to trust beside the system's"),
    input(
        "config",
        Kind::Path,
        For::Azure,
        "checks, watch and limits (default: slotway.yml, if there is one)",
    ),
    input("summary", Kind::Path, For::Azure, "write a Markdown summary to this file"),
    input("report-file", Kind::Path, For::Azure, "write the JSON report to this file"),
    Input {
        name: "github-token",
        kind: Kind::Secret,
        verbs: For::Step,
        help: "a token that reads which commits go live, and writes for the two inputs below; the job's own if not given",
        also: None,
    },
    input("github-environment", Kind::Text, For::Step, "record a GitHub deployment to this environment"),
    input(
        "pull-request-comment",
        Kind::Boolean,
        For::Step,
        "keep one comment with the summary on the pull request",
    ),
];

/// The input of this name.
pub fn find(name: &str) -> Option<&'static Input> {
    INPUTS.iter().find(|input| input.name == name)
}
