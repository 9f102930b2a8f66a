//! Deployments: Kudu's lock, its records, and their way to the end.
//!
//! Owns what a deployment is. Must not touch a file: [`super::Effect::Unpack`] asks
//! the runtime, which answers with [`super::World::unpacked`].

use std::path::PathBuf;

use super::Timestamp;
use super::site::SideId;

/// The numbers of Kudu's DeployStatus (kudu-deploy.md §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentStatus {
    /// -1, newer services.
    Cancelled,
    /// 0; on Linux for the whole build (seen-in-recordings.md 24).
    Pending,
    /// 1.
    Building,
    /// 2.
    Deploying,
    /// 3.
    Failed,
    /// 4.
    Success,
    /// 5, newer services.
    Conflict,
    /// 6, newer services.
    PartialSuccess,
}

impl DeploymentStatus {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::Cancelled => -1,
            Self::Pending => 0,
            Self::Building => 1,
            Self::Deploying => 2,
            Self::Failed => 3,
            Self::Success => 4,
            Self::Conflict => 5,
            Self::PartialSuccess => 6,
        }
    }
}

/// The `type` of a log line (kudu-deploy.md §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// 0.
    Message,
    /// 1.
    Warning,
    /// 2.
    Error,
}

/// A line of a deployment's log.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When.
    pub time: Timestamp,
    /// Its id.
    pub id: String,
    /// The text.
    pub message: String,
    /// Message, warning or error.
    pub kind: LogKind,
    /// Lines one level down, behind `details_url`.
    pub details: Vec<LogLine>,
}

/// A deployment record.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// "temp-…" first, then [`Deployment::final_id`] (kudu-deploy.md §5).
    pub id: String,
    /// A GUID on Linux, 32 hex digits on Windows (seen-in-recordings.md 23). It is also the tracking id
    /// in the SCM-DEPLOYMENT-ID header (that they are equal is unconfirmed).
    pub final_id: String,
    /// Whether `id` is the temporary one.
    pub is_temp: bool,
    /// How far it is, as Kudu shows it.
    pub status: DeploymentStatus,
    /// `status_text`.
    pub status_text: String,
    /// `progress`.
    pub progress: String,
    /// Whether it ended. A killed deployment never does (kudu-deploy.md §5).
    pub complete: bool,
    /// Whether the SCM restart killed it; internal, Kudu does not tell.
    pub killed: bool,
    /// Whether it is what the slot serves.
    pub active: bool,
    /// "N/A" unless said (seen-in-recordings.md 25).
    pub author: String,
    /// "N/A" unless said.
    pub author_email: String,
    /// Who deployed, as said in the query.
    pub deployer: String,
    /// "OneDeploy" or "Created via a push deployment" unless said.
    pub message: String,
    /// Whether it came by `PUT /api/deployments/{id}` (kudu-deploy.md §7).
    pub recorded: bool,
    /// `received_time`.
    pub received: Timestamp,
    /// `start_time`.
    pub started: Timestamp,
    /// `end_time`.
    pub ended: Option<Timestamp>,
    /// Its log.
    pub log: Vec<LogLine>,
}

/// What is uploaded: OneDeploy's `type` (kudu-deploy.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    /// Unpacked to wwwroot or `path`.
    Zip,
    /// app.war.
    War,
    /// app.jar.
    Jar,
    /// app.ear.
    Ear,
    /// /home/site/libs.
    Lib,
    /// wwwroot.
    Static,
    /// /home/site/scripts.
    Script,
    /// startup.sh or startup.cmd.
    Startup,
}

/// An upload that has arrived whole.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Where the skin put the bytes; the runtime removes it after unpacking. A folder is copied and
    /// left alone (a scenario's package).
    pub file: PathBuf,
    /// Its type.
    pub kind: PackageKind,
    /// Where it goes, below wwwroot for zip and static.
    pub path: Option<String>,
    /// Whether what is there goes first.
    pub clean: bool,
    /// Whether the app restarts afterwards.
    pub restart: bool,
    /// The checksum that came with it, if any, in lower-case hex; the runtime checks it and a
    /// mismatch fails the deployment (unconfirmed).
    pub sha256: Option<String>,
    /// Who deploys.
    pub deployer: String,
    /// The record's message.
    pub message: String,
    /// The record's author, "N/A" unless said.
    pub author: String,
}

/// Kudu's lock, held while the body is stored and until the deployment ends.
/// Give it to `begin_deployment` or to `abandon_upload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTicket {
    pub(super) side: SideId,
    pub(super) number: u64,
}

/// A running deployment, for the runtime and for whoever waits: where it is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentKey {
    /// The side that it changes.
    pub side: SideId,
    /// [`Deployment::final_id`].
    pub final_id: String,
}

/// `PUT /api/deployments/{id}`: a record written by a pipeline (kudu-deploy.md §7).
#[derive(Debug, Clone)]
pub struct RecordedDeployment {
    /// The id in the path.
    pub id: String,
    /// 3 or 4.
    pub success: bool,
    /// Whether it becomes the active record.
    pub active: bool,
    /// Its message.
    pub message: String,
    /// Its deployer.
    pub deployer: String,
    /// Its author.
    pub author: String,
    /// `details`, kept as a log line.
    pub details: Option<String>,
}
