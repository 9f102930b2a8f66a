//! The most talkative diagnostics tell no secret.

use serde_json::json;

use crate::harness::Finished;
use crate::service::Service;

/// Values that lie where secrets lie: settings of the app, sticky and not, and its connection strings.
const PLANTED: [&str; 3] =
    ["planted-Setting-4711", "planted-Sticky-4712", "Server=x;Password=planted-Conn-4713"];

fn scenario() -> String {
    format!(
        "slots:\n  production: {{settings: {{KEY: {0}, DB: '{2}'}}, slot-settings: {{STICKY: {1}}}}}\n  staging: {{settings: {{KEY: {0}, DB: '{2}'}}, slot-settings: {{STICKY: {1}}}}}\n",
        PLANTED[0], PLANTED[1], PLANTED[2]
    )
}

/// A secret in each form in which it could be told.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine;
    let encoded =
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut forms =
        vec![secret.to_owned(), encoded.clone(), encoded.to_lowercase(), json!(secret).to_string()];
    for skipped in 0..3 {
        // Base64 of a text with the secret in it: the middle of each alignment.
        let padded = format!("{}{secret}", "x".repeat(skipped));
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(padded);
        let middle = &text[if skipped == 0 { 0 } else { 4 }..text.len() / 4 * 4 - 4];
        forms.push(middle.to_owned());
    }
    forms
}

fn assert_silent(finished: &Finished, secrets: &[String]) {
    for (stream, text) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
        for secret in secrets {
            for form in forms(secret) {
                assert!(!text.contains(&form), "{secret} is told on {stream} as {form}: {text}");
            }
        }
        for word in ["eyJ", "Bearer ey", "Basic JG", "userPWD=", "publishingPassword"] {
            assert!(!text.contains(word), "{word} on {stream}");
        }
    }
}

/// The publishing passwords of the app, as the emulator made them up.
fn publishing_passwords(service: &Service) -> Vec<String> {
    fn passwords(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    match value.as_str() {
                        Some(text) if key.to_lowercase().contains("password") => found.push(text.to_owned()),
                        _ => passwords(value, found),
                    }
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| passwords(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    passwords(&service.control("GET", "world", &serde_json::Value::Null), &mut found);
    found.retain(|text| text.len() > 6);
    found
}

#[test]
fn the_most_talkative_diagnostics_tell_no_secret() {
    let service = Service::start(&scenario());
    service.place.write("slotway.yml", "production: {for: 0s, passes: 1}\nwatch: {rate: 0}\n");
    let package = service.package("2");
    let mut secrets: Vec<String> = PLANTED.map(str::to_owned).to_vec();
    secrets.push(service.get("client_secret").to_owned());
    secrets.extend(publishing_passwords(&service));
    for (verb, more) in
        [("plan", vec![]), ("status", vec![]), ("release", vec!["--package", package.as_str()])]
    {
        let mut command = service.command(verb, &more);
        let finished = Finished::from(command.env("SLOTWAY_LOG", "trace").output().expect("it runs"));
        assert_eq!(finished.code, 0, "{verb}: {}", finished.stderr);
        assert!(finished.stderr.contains("answer method="), "diagnostics are on: {}", finished.stderr);
        assert_silent(&finished, &secrets);
    }
}

#[test]
fn a_server_that_echoes_what_it_was_sent_is_not_repeated() {
    // What a proxy or a debug page may do: give the client's own secret back in an error.
    let service = Service::start("");
    let secret = service.get("client_secret").to_owned();
    let body = json!({"error": "invalid_client", "error_description": format!("AADSTS7000215: wrong secret {secret}")});
    let rule = json!({"times": 0, "on": {"service": "authority", "path": "token"}, "do": {"status": {"code": 401, "body": body}}});
    service.control("POST", "faults", &rule);
    let finished =
        Finished::from(service.command("status", &[]).env("SLOTWAY_LOG", "trace").output().expect("it runs"));
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("AADSTS7000215"), "{}", finished.stderr);
    assert_silent(&finished, &[secret]);
}

#[test]
fn no_service_that_echoes_its_request_gets_a_secret_into_a_log() {
    let service = Service::start("");
    service.place.write("slotway.yml", "watch: {rate: 0}\n");
    let package = service.package("2");
    let secrets = [service.get("client_secret").to_owned()];
    for (on, verb, more) in [
        (json!({"service": "authority", "path": "token"}), "status", vec![]),
        (json!({"service": "resource-manager", "path": "sites"}), "status", vec![]),
        (json!({"service": "scm", "path": "api/publish"}), "deploy", vec!["--package", package.as_str()]),
    ] {
        let rule = json!({"times": 0, "on": on, "do": {"echo": {"code": 403}}});
        service.control("POST", "faults", &rule);
        let mut command = service.command(verb, &more);
        let finished = Finished::from(command.env("SLOTWAY_LOG", "trace").output().expect("it runs"));
        service.control("DELETE", "faults", &serde_json::Value::Null);
        assert_eq!(finished.code, 3, "{on}: {}", finished.stderr);
        let told = finished.json()["cause"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains("you sent ") && told.contains("***"), "{on}: the echo is told: {told}");
        assert_silent(&finished, &secrets);
    }
}

#[test]
fn diagnostics_give_a_host_no_orders() {
    let service = Service::start(
        "faults:\n- {on: {service: resource-manager, path: slotsswap$}, do: {status: {code: 409, headers: {x-ms-request-id: '##vso[task.setvariable variable=a]b', x-ms-correlation-request-id: '::error::x'}, body: {Code: Conflict, Message: '::add-mask::e'}}}}\n",
    );
    service.place.write("slotway.yml", "production: {for: 0s, passes: 1}\nwatch: {rate: 0}\n");
    let mut command = service.command("release", &["--package", &service.package("2")]);
    let finished = Finished::from(command.env("SLOTWAY_LOG", "trace").output().expect("it runs"));
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("task.setvariable"), "the header is logged: {}", finished.stderr);
    for text in [&finished.stdout, &finished.stderr] {
        assert_eq!(crate::host_rules::order_in(text), None, "{text}");
    }
}

#[test]
fn a_wrong_argument_gives_a_host_no_orders() {
    let place = crate::harness::Place::new();
    for argument in ["::error::x", "--##vso[task.complete result=Succeeded;]", "a\n::set-output name=x::y"] {
        let finished = place.run(&["status", argument]);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        assert!(finished.stderr.contains("error: unexpected argument"), "{}", finished.stderr);
        assert_eq!(crate::host_rules::order_in(&finished.stderr), None, "{}", finished.stderr);
    }
}
