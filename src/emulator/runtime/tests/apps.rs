//! Apps that really run: processes, their environment, output and end.

use super::*;

/// The start command of an app that is this very test program, so that tests need nothing installed.
pub(super) fn server_command() -> String {
    let program = std::env::current_exe().expect("a program");
    format!(
        "SLOTWAY_TEST_APP=1 exec '{}' --exact emulator::runtime::tests::apps::an_app_of_its_own --nocapture",
        program.display()
    )
}

/// Not a test when it runs as the app: it serves PORT for ever.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the app's output, which another test looks for")]
async fn an_app_of_its_own() {
    if std::env::var_os("SLOTWAY_TEST_APP").is_none() {
        return;
    }
    let port = std::env::var("PORT").expect("PORT");
    let version = std::fs::read_to_string("version.txt").unwrap_or_default();
    println!("version {version} listens");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("port");
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        stream.set_nodelay(true).expect("no delay");
        let version = version.clone();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let version = version.clone();
            async move {
                let path = request.uri().path().to_owned();
                let text = match path.strip_prefix("/env/") {
                    Some(name) => std::env::var(name).unwrap_or_else(|_| "unset".to_owned()),
                    None if path == "/echo" => {
                        let body = request.into_body().collect().await?.to_bytes();
                        String::from_utf8_lossy(&body).into_owned()
                    }
                    None if path == "/die" => std::process::abort(),
                    None if path == "/pid" => std::process::id().to_string(),
                    None => version,
                };
                Ok::<_, hyper::Error>(Response::new(crate::emulator::front::full(text)))
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

pub(super) fn with_command(settings: &str, command: &str) -> String {
    let command = serde_json::to_string(command).expect("text");
    format!(
        "workers: 1\nslots: {{production: {{package: '{{base}}/app', settings: {settings}, web-config: {{appCommandLine: {command}}}}}}}"
    )
}

#[tokio::test]
async fn a_start_command_runs_with_its_settings_and_restarts_when_they_change() {
    let scenario = with_command("{COLOUR: red}", &server_command());
    let stand = Stand::new(&scenario, |base| {
        app(base, "app", &[("version.txt", "7")]);
    })
    .await;
    let production = slot("production");
    stand.ready(&production).await;
    assert_eq!(stand.get(&production, "/").await.text, "7");
    for (name, value) in [
        ("COLOUR", "red"),
        ("APPSETTING_COLOUR", "red"),
        ("HOST", "127.0.0.1"),
        ("WEBSITE_SITE_NAME", "contoso-web"),
        ("WEBSITE_SLOT_NAME", "Production"),
        ("CARGO_MANIFEST_DIR", "unset"), // nothing of the emulator's own environment
    ] {
        assert_eq!(stand.get(&production, &format!("/env/{name}")).await.text, value, "{name}");
    }
    assert!(stand.shared.container_log(&production, None).contains("version 7 listens"));
    let pid = stand.get(&production, "/pid").await.text;
    let settings = BTreeMap::from([("COLOUR".to_owned(), "blue".to_owned())]);
    stand.shared.act(|world| world.put_app_settings(&production, settings)).expect("writes");
    stand.ready(&production).await;
    assert_eq!(stand.get(&production, "/env/COLOUR").await.text, "blue");
    assert_ne!(stand.get(&production, "/pid").await.text, pid);
    stand.shared.shutdown().await;
    assert_gone(&pid).await;
}

#[tokio::test]
async fn a_request_with_a_body_reaches_the_app() {
    let stand = Stand::new(&with_command("{}", &server_command()), |base| {
        app(base, "app", &[]);
    })
    .await;
    stand.ready(&slot("production")).await;
    let mut client = stand.client(&slot("production")).await;
    let body = "x".repeat(300_000);
    let request = Request::post("/echo").header("host", "h").body(crate::emulator::front::full(body.clone()));
    let response = client.sender.send_request(request.expect("request")).await.expect("an answer");
    let echoed = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(echoed == body.as_bytes());
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn an_app_that_dies_is_started_again_and_its_request_gets_502() {
    let stand = Stand::new(&with_command("{}", &server_command()), |base| {
        app(base, "app", &[]);
    })
    .await;
    let production = slot("production");
    stand.ready(&production).await;
    let pid = stand.get(&production, "/pid").await.text;
    assert_eq!(stand.get(&production, "/die").await.status, 502);
    // The front end waits for the next start.
    assert_ne!(stand.get(&production, "/pid").await.text, pid);
    assert!(stand.shared.container_log(&production, None).contains("the app ended: signal"));
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn an_app_that_cannot_start_says_why() {
    let stand = Stand::new(&with_command("{}", "echo no such database >&2; exit 3"), |base| {
        app(base, "app", &[]);
    })
    .await;
    let production = slot("production");
    let reason = stand.shared.wait_for(LIMIT, |world| {
        match &world.slot(&production).ok()?.side.instances.first()?.state {
            InstanceState::Failed { reason } => Some(reason.clone()),
            _ => None,
        }
    });
    assert_eq!(reason.await.as_deref(), Some("the app ended: exit status: 3"));
    stand.shared.shutdown().await;
    assert!(stand.shared.container_log(&production, None).contains("no such database"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_an_app_has_started_ends_with_it() {
    // A child that does not listen to SIGTERM.
    let command = format!(
        "sh -c 'trap \"\" TERM; echo $$ > child.pid; while :; do sleep 1; done' & {}",
        server_command().replace("exec ", "")
    );
    let stand = Stand::new(&with_command("{}", &command), |base| {
        app(base, "app", &[]);
    })
    .await;
    let production = slot("production");
    stand.ready(&production).await;
    let folder = stand.shared.read(|world| world.slot(&production).expect("slot").side.folder.clone());
    let app = stand.get(&production, "/pid").await.text;
    let child = std::fs::read_to_string(folder.join("child.pid")).expect("a child");
    stand.shared.shutdown().await;
    assert_gone(&app).await;
    assert_gone(&child).await;
}

/// Waits until a process is gone, or only waits for somebody to take note: a killed one needs a moment for it.
async fn assert_gone(pid: &str) {
    let running = || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
    };
    let gone = async {
        while running() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the process is gone");
}

#[tokio::test]
async fn a_deployment_brings_new_content_and_a_swap_brings_it_to_production() {
    let stand = Stand::new(
        "slots: {production: {package: '{base}/v1', slot-settings: {A: live}}, staging: {slot-settings: {A: test}}}",
        |base| {
            app(base, "v1", &[("index.html", "one")]);
            app(base, "v2", &[("index.html", "two")]);
        },
    )
    .await;
    let (production, staging) = (slot("production"), slot("staging"));
    stand.ready(&production).await;
    let waiting = stand.get(&staging, "/").await;
    assert!(waiting.status == 200 && waiting.text.contains("waiting for your content"));
    let key = stand.deploy(&staging, &stand.folder.path().join("v2"));
    stand.deployed(&key).await;
    assert_eq!(stand.get(&staging, "/").await.text, "two");
    assert_eq!(stand.get(&production, "/").await.text, "one");
    stand.swapped(&stand.begin_swap()).await;
    assert_eq!(stand.get(&production, "/").await.text, "two");
    stand.ready(&staging).await;
    assert_eq!(stand.get(&staging, "/").await.text, "one");
    stand.shared.shutdown().await;
}

#[tokio::test]
async fn a_package_that_is_no_zip_fails_and_the_slot_goes_on() {
    let stand = Stand::new("slots: {production: {package: '{base}/v1'}}", |base| {
        app(base, "v1", &[("index.html", "one")]);
    })
    .await;
    let production = slot("production");
    stand.ready(&production).await;
    let key = stand.shared.act(|world| {
        let ticket = world.lock_for_upload(&production).expect("free");
        let upload = Upload {
            file: stand.folder.path().join("v1/nothing.zip"),
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
    });
    let record =
        stand.shared.wait_for(LIMIT, |world| world.deployment(&key).filter(|it| it.complete).cloned());
    let record = record.await.expect("complete");
    assert_eq!(record.status.number(), 3);
    assert!(record.status_text.contains("could not be unpacked"), "{}", record.status_text);
    assert_eq!(stand.get(&production, "/").await.text, "one");
    stand.shared.shutdown().await;
}
