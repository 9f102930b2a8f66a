//! What the runtime and the front end are tested with: a whole inside behind plain listeners.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::emulator::front::{Body, empty, serve};
use crate::emulator::scenario::Scenario;
use crate::emulator::world::{
    DeploymentKey, InstanceState, OperationId, OperationState, PackageKind, SlotHosts, Upload,
};
use crate::names::SlotName;

mod apps;
mod fronts;
mod load;
mod stepped;

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Stand {
    pub(super) shared: Shared,
    pub(super) folder: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: hyper::HeaderMap,
    pub(super) text: String,
}

pub(super) fn slot(name: &str) -> SlotRef {
    SlotRef::new("contoso-web".parse_name(), SlotName::new(name).expect("name"))
}

trait ParseName {
    fn parse_name(&self) -> crate::names::SiteName;
}

impl ParseName for str {
    fn parse_name(&self) -> crate::names::SiteName {
        crate::names::SiteName::new(self).expect("name")
    }
}

/// A folder of files, made below the base.
pub(super) fn app(base: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = base.join(name);
    std::fs::create_dir_all(&folder).expect("folder");
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("file");
    }
    folder
}

impl Stand {
    /// Starts a world; in the scenario `{base}` is a folder that the closure has filled.
    pub(super) async fn new(scenario: &str, fill: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        fill(folder.path());
        let base = folder.path().display().to_string();
        let scenario = Scenario::from_yaml(&scenario.replace("{base}", &base)).expect("scenario");
        let mut hosts = BTreeMap::new();
        let mut listeners = Vec::new();
        for name in scenario.slot_names() {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
            let app = listener.local_addr().expect("address").to_string();
            hosts.insert(name.clone(), SlotHosts { app, scm: "127.0.0.1:9".to_owned() });
            listeners.push((SlotRef::new(scenario.app.clone(), name), listener));
        }
        let contents = folder.path().join("contents");
        let world = World::new(&scenario, &hosts, contents, Timestamp::now_utc()).expect("world");
        let shared = Shared::start(
            world,
            scenario.time,
            std::env::vars_os().filter(|(name, _)| name == "PATH").collect(),
        );
        for (slot, listener) in listeners {
            shared.track(listen(shared.clone(), slot, listener));
        }
        Self { shared, folder }
    }

    pub(super) async fn ready(&self, slot: &SlotRef) {
        let ready = self.shared.wait_for(LIMIT, |world| {
            let instances = &world.slot(slot).ok()?.side.instances;
            let ready = instances.iter().all(|instance| instance.state == InstanceState::Ready);
            (ready && !instances.is_empty()).then_some(())
        });
        let log = || self.shared.container_log(slot, None);
        assert!(ready.await.is_some(), "{slot} is ready; {}", log());
    }

    pub(super) async fn client(&self, slot: &SlotRef) -> Client {
        let host = self.shared.read(|world| world.slot(slot).expect("slot").hosts.app.clone());
        Client::new(host).await
    }

    pub(super) async fn get(&self, slot: &SlotRef, path: &str) -> Answer {
        self.client(slot).await.get(path, &[]).await.expect("an answer")
    }

    pub(super) fn deploy(&self, slot: &SlotRef, folder: &Path) -> DeploymentKey {
        // A temporary upload is one file, so the folder goes as a zip.
        let file = self.folder.path().join(format!("upload-{}.zip", self.shared.turn()));
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&file).expect("file"));
        for entry in std::fs::read_dir(folder).expect("folder") {
            let entry = entry.expect("entry");
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(entry.file_name().to_str().expect("name"), options).expect("entry");
            let text = std::fs::read(entry.path()).expect("file");
            std::io::Write::write_all(&mut zip, &text).expect("text");
        }
        zip.finish().expect("zip");
        self.shared.act(|world| {
            let ticket = world.lock_for_upload(slot).expect("free");
            let upload = Upload {
                file,
                kind: PackageKind::Zip,
                path: None,
                clean: true,
                restart: true,
                sha256: None,
                deployer: "test".to_owned(),
                message: "OneDeploy".to_owned(),
                author: "N/A".to_owned(),
            };
            world.begin_deployment(ticket, upload).expect("begins")
        })
    }

    pub(super) async fn deployed(&self, key: &DeploymentKey) {
        let done =
            self.shared.wait_for(LIMIT, |world| world.deployment(key).filter(|it| it.complete).cloned());
        let record = done.await.expect("complete");
        assert!(record.active, "{:?}", record.log);
    }

    pub(super) fn begin_swap(&self) -> OperationId {
        self.shared
            .act(|world| world.begin_swap(&slot("staging"), &slot("production"), true).expect("begins"))
    }

    pub(super) async fn swapped(&self, id: &OperationId) {
        let end = self.shared.wait_for(LIMIT, |world| {
            world.operation(id).filter(|operation| !operation.is_running()).map(|end| end.state.clone())
        });
        assert_eq!(end.await, Some(OperationState::Succeeded));
    }
}

async fn listen(shared: Shared, slot: SlotRef, listener: TcpListener) {
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted.expect("accepts"),
            () = shared.closed() => return,
        };
        stream.set_nodelay(true).expect("no delay");
        let (shared, slot) = (shared.clone(), slot.clone());
        let service = service_fn(move |request| {
            let request = crate::emulator::wire::streamed(request);
            let (shared, slot) = (shared.clone(), slot.clone());
            async move { Ok::<Response<Body>, std::convert::Infallible>(serve(shared, slot, request).await) }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// One connection to a host.
pub(super) struct Client {
    host: String,
    sender: SendRequest<Body>,
}

impl Client {
    pub(super) async fn new(host: String) -> Self {
        let stream = TcpStream::connect(&host).await.expect("connects");
        stream.set_nodelay(true).expect("no delay");
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("shakes hands");
        tokio::spawn(connection);
        Self { host, sender }
    }

    pub(super) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, hyper::Error> {
        let mut request = Request::builder().uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(empty()).expect("request")).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
    }
}
