//! No way to the server: each kind ends in one error that names the server and what to do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::harness::{Finished, Place};
use crate::service::Service;

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// Asks a resource manager for the status, with more environment.
fn status(place: &Place, url: &str, environment: &[(&str, &str)]) -> Child {
    let mut command = place.slotway(&["status", "--environment", "AzureStack", "--app-name", "contoso-web"]);
    command.args(["--resource-group-name", "group", "--resource-manager-url", url]);
    for flag in ["--subscription-id", "--tenant-id", "--client-id"] {
        command.args([flag, ID]);
    }
    command.env("AZURE_CLIENT_SECRET", "planted-secret").envs(environment.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// One error, then one advice; nothing was touched, so it is a refusal.
fn told(child: Child) -> (String, String) {
    let finished = Finished::from(child.wait_with_output().expect("it ends"));
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(!finished.stderr.contains("planted-secret") && !finished.stderr.contains("panicked"));
    let mut lines = finished.stderr.lines().map(str::to_owned);
    let (error, advice) = (lines.next().expect("an error"), lines.next().expect("advice"));
    assert_eq!(lines.next(), None, "{}", finished.stderr);
    assert!(error.starts_with("error: could not read the cloud's metadata document: not sent: "), "{error}");
    (error, advice)
}

/// A port at which nobody listens: it was free a moment ago.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A proxy that lets nobody through.
fn refusing_proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let refuse = |mut stream: TcpStream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ =
                stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        };
        listener.incoming().flatten().for_each(refuse);
    });
    url
}

#[test]
fn without_a_connection_the_kind_is_told_apart() {
    // Each is tried for a quarter of a minute, so they run side by side.
    let place = Place::new();
    let refused = format!("https://127.0.0.1:{}", closed_port());
    let dead_proxy = format!("http://127.0.0.1:{}", closed_port());
    let proxy = refusing_proxy();
    let cases = [
        (status(&place, "https://management.invalid", &[]), "management.invalid", "cannot be found"),
        (status(&place, &refused, &[]), "127.0.0.1", "nothing accepts connections there"),
        (
            status(&place, "https://management.example", &[("HTTPS_PROXY", &dead_proxy)]),
            "management.example",
            "the proxy",
        ),
        (
            status(&place, "https://management.example", &[("HTTPS_PROXY", &proxy)]),
            "management.example",
            "the proxy",
        ),
    ];
    for (child, host, remedy) in cases {
        let (error, advice) = told(child);
        assert!(error.contains(host), "{error}");
        assert!(advice.contains(remedy), "{error}\n{advice}");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_at_once() {
    let service = Service::start("");
    let began = std::time::Instant::now();
    let (error, advice) = told(status(&service.place, service.get("resource_manager"), &[]));
    assert!(error.contains("certificate"), "{error}");
    assert!(advice.contains("ca-file"), "{advice}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "it will show the same certificate again");
}
