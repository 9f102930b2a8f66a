//! The same for what Azure, GitHub, the hosts and the user hand over beside that: profiles,
//! notes, records, models, tokens, keys, lists and headers.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use slotway::azure::model::{
    ContainerLog, DeploymentRecord, Instance, LogEntry, Page, Plan, Site, SlotDifference, WebConfigDocument,
};
use slotway::azure::operation::{self, Reading};
use slotway::azure::{Presented, PublishProfile, Signer};
use slotway::facts::Note;
use slotway::host::github_api::GitHub;
use slotway::http::{Answer, Proxies, Wire};
use slotway::secret::Secret;

use super::{feed, texts};

const JSON: [&str; 14] = [
    "null",
    "[]",
    "{}",
    "\"",
    ":",
    ",",
    "1e999",
    "-1",
    "true",
    "\\ud800",
    "18446744073709551616",
    "[[[[",
    "\u{0}",
    "é",
];

#[test]
fn a_damaged_publish_profile_is_refused_and_its_password_is_not_repeated() {
    const PASSWORD: &str = "planted-Password-4711";
    let seeds = texts(&[
        &format!(
            "<publishData><publishProfile profileName=\"a\" publishMethod=\"ZipDeploy\" publishUrl=\"app-staging.scm.azurewebsites.net:443\" userName=\"$app__staging\" userPWD=\"{PASSWORD}\" destinationAppUrl=\"https://app-staging.azurewebsites.net\"><databases /></publishProfile></publishData>"
        ),
        &format!(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY b \"c\">]>\n<publishData><publishProfile publishMethod='MSDeploy' publishUrl='x' userName='$app' userPWD='{PASSWORD}&amp;&#x41;&b;'/></publishData>"
        ),
    ]);
    let words = [
        "<",
        "/>",
        "&",
        "&#x110000;",
        "&b;",
        "<![CDATA[",
        "<!--",
        "]]>",
        "=\"",
        "'",
        "\u{0}",
        "userPWD=",
        "@",
        "\n",
    ];
    feed("publish profile", 1, &seeds, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Err(error) = PublishProfile::read(&text) {
            let said = format!("{error} {error:?} {}", error.help());
            // Damage may have made the password the user's name, which is told.
            let is_password =
                text.contains(&format!("userPWD=\"{PASSWORD}")) && text.matches(PASSWORD).count() == 1;
            assert!(!is_password || !said.contains(PASSWORD), "{said}");
            assert!(said.len() < 2000, "{said}");
        }
        PublishProfile::secrets(&text);
    });
}

#[test]
fn a_damaged_note_is_read_whole_or_not_at_all() {
    let seeds = texts(&[
        r#"{"slotway":1,"release-id":"3f0c9d2e","sha256":"ab","size-bytes":12,"previous":"old","source":{"repository":"https://github.com/contoso/web","commit":"0123456789abcdef0123456789abcdef01234567","reference":"refs/heads/main","run-url":"https://github.com/contoso/web/actions/runs/1"},"written":"2026-01-01T00:00:00Z","swap":{"sent":"2026-01-01T00:00:00Z","by":"r/1","last-swap":"2025-01-01T00:00:00Z","end":"proven"},"rollback":{"sent":"x","end":"stuck"}}"#,
        r#"{"slotway":9,"release-id":"a","written":"","unknown":{"a":[1,2]}}"#,
    ]);
    feed("note", 1, &seeds, &JSON, |bytes| {
        let Ok(note) = serde_json::from_slice::<Note>(bytes) else { return };
        // What is read can be written and read again: a verb rewrites the note of another.
        let again = serde_json::to_string(&note).expect("a note");
        assert_eq!(serde_json::from_str::<Note>(&again).expect("a note"), note);
    });
}

#[test]
fn a_damaged_ignore_file_packs_a_folder_or_is_refused() {
    let place = tempfile::tempdir().expect("a folder");
    for name in ["app/index.html", "app/node_modules/a.js", "app/logs/[x].txt"] {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, name).expect("a file");
    }
    let root = place.path().join("app");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let seeds = texts(&[
        "node_modules/\n*.log\n!keep.log\n/logs/**\n",
        "# note\n\\#x\n[a-z]*\n{a,b}\n  trailing \\ \n",
    ]);
    let words =
        ["**", "*", "!", "[", "]", "{", "}", ",", "\\", "/", "..", "\r\n", "\u{0}", "[!", "**/**/**/"];
    feed(".slotwayignore", 8, &seeds, &words, |bytes| {
        std::fs::write(root.join(".slotwayignore"), bytes).expect("written");
        // A folder of which nothing is left is refused like an empty one.
        if let Err(error) = runtime.block_on(slotway::artifact::prepare(&root, None, &|_| {})) {
            assert!(!error.to_string().is_empty());
        }
    });
}

fn read<T: DeserializeOwned>(bytes: &[u8], look: impl Fn(T)) {
    if let Ok(value) = serde_json::from_slice(bytes) {
        look(value);
    }
}

#[test]
fn damaged_records_and_logs_of_kudu_are_read_or_refused() {
    let seeds = texts(&[
        r#"[{"id":"a1","status":4,"status_text":"","complete":true,"active":true,"is_temp":false,"received_time":"2026-01-01T00:00:00Z","end_time":null}]"#,
        r#"[{"id":"x","message":"Building","details_url":"https://h/api/deployments/a/log/x"},{"id":"","message":"","details_url":null}]"#,
        r#"[{"lastUpdated":"2026-01-01T00:00:00Z","size":1,"href":"https://h/api/vfs/LogFiles/a_default_docker.log","path":"/home/LogFiles/a_default_docker.log"}]"#,
    ]);
    feed("kudu", 1, &seeds, &JSON, |bytes| {
        read::<Vec<DeploymentRecord>>(bytes, |records| {
            for record in records {
                let (status, provisional) = (record.status(), record.is_provisional());
                assert!(!format!("{status:?} {provisional}").is_empty());
            }
        });
        read::<Vec<LogEntry>>(bytes, |entries| assert!(entries.len() <= bytes.len()));
        read::<Vec<ContainerLog>>(bytes, |logs| {
            for log in logs {
                // The name becomes a path below LogFiles.
                assert!(
                    log.file_name().is_none_or(|name| !name.contains("..") && !name.is_empty()),
                    "{log:?}"
                );
                let _ = (log.is_of_the_app(), log.is_written_by_the_app());
            }
        });
    });
}

#[test]
fn damaged_models_of_resource_manager_are_read_or_refused() {
    let seeds = texts(&[
        r#"{"id":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/a","name":"a","kind":"app,linux","location":"westeurope","properties":{"state":"Running","defaultHostName":"a.azurewebsites.net","serverFarmId":"/p","hostNameSslStates":[{"name":"a.scm.azurewebsites.net","hostType":"Repository"}],"slotSwapStatus":{"timestampUtc":"2026-01-01T00:00:00Z","sourceSlotName":"staging","destinationSlotName":"Production"},"targetSwapSlot":null,"inProgressOperationId":null}}"#,
        r#"{"value":[{"id":"/i","name":"i1","properties":{"state":"READY"}}],"nextLink":"https://management.azure.com/next?page=2"}"#,
        r#"{"properties":{"linuxFxVersion":"DOCKER|registry.io/app:2","windowsFxVersion":null,"autoSwapSlotName":"","experiments":{"rampUpRules":[{"actionHostName":"a","reroutePercentage":12.5}]}}}"#,
        r#"{"id":"/p","name":"p","sku":{"name":"S1","tier":"Standard","capacity":2},"properties":{"numberOfWorkers":2,"status":"Ready"}}"#,
    ]);
    feed("resource manager", 1, &seeds, &JSON, |bytes| {
        read::<Site>(bytes, |site| {
            assert!(site.scm_host().is_none_or(|host| host.len() <= bytes.len()));
        });
        read::<WebConfigDocument>(bytes, |document| {
            assert!(!format!("{:?}", document.properties.containers()).is_empty());
        });
        read::<Page<Instance>>(bytes, |page| assert!(page.value.len() <= bytes.len()));
        read::<Page<SlotDifference>>(bytes, |page| assert!(page.value.len() <= bytes.len()));
        read::<Plan>(bytes, |plan| assert!(!format!("{plan:?}").is_empty()));
    });
}

#[test]
fn a_damaged_event_of_github_takes_no_comment_elsewhere() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("event.json");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wire = Wire::Network(reqwest::Client::new());
    let variables = [
        ("GITHUB_API_URL", "http://127.0.0.1:1"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "contoso/web"),
        ("GITHUB_RUN_ID", "1"),
        ("GITHUB_SHA", "merge"),
        ("GITHUB_EVENT_PATH", path.to_str().expect("a path")),
    ];
    let environment =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // octocrab keeps a task of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _inside = runtime.enter();
    let seeds = texts(&[
        r#"{"pull_request":{"number":7,"head":{"sha":"5c1e0ff"}}}"#,
        r#"{"head_commit":{"message":"x"},"pull_request":null}"#,
    ]);
    feed("event", 8, &seeds, &JSON, |bytes| {
        std::fs::write(&path, bytes).expect("written");
        GitHub::new(&environment, &Secret::new("t0ken"), &wire).expect("an event may be any file");
    });
}

#[test]
fn a_damaged_assertion_is_described_or_not() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = [
        r#"{"iss":"https://token.actions.githubusercontent.com","sub":"repo:o/r:environment:e","aud":"api://AzureADTokenExchange"}"#,
        r#"{"iss":"https://vstoken.dev.azure.com/x","sub":"p://o/p/c","aud":["a","b"],"exp":1}"#,
    ];
    feed("claims", 1, &texts(&claims), &JSON, |bytes| {
        let assertion = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(bytes));
        if let Some(presented) = Presented::read(&Secret::new(assertion), "app") {
            // The command is pasted into a shell: nothing in a claim ends its quotes.
            let command = presented
                .advice()
                .into_iter()
                .find_map(|line| line.split_once("--parameters '").map(|(_, rest)| rest.to_owned()));
            let quoted = command.expect("a command");
            assert_eq!(quoted.matches('\'').count(), 1, "{quoted}");
        }
    });
    let whole = claims.map(|claims| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)));
    feed(
        "assertion",
        1,
        &texts(&whole.each_ref().map(String::as_str)),
        &[".", "..", "=", "_", "-"],
        |bytes| {
            let assertion = Secret::new(String::from_utf8_lossy(bytes));
            let said = Presented::read(&assertion, "app").map(|presented| presented.advice().join("\n"));
            assert!(said.is_none_or(|said| said.len() < 8 * bytes.len() + 4000));
        },
    );
}

#[test]
fn a_damaged_certificate_is_refused_and_its_key_is_not_repeated() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/azure/credential/testdata");
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(folder).expect("test keys") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            seeds.push(std::fs::read(path).expect("a test key"));
        }
    }
    assert!(seeds.len() >= 2, "keys and certificates");
    let words =
        ["-----BEGIN PRIVATE KEY-----", "-----END CERTIFICATE-----", "-----", "\n", "=", "MII", "\u{0}"];
    feed("certificate", 2, &seeds, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match Signer::from_pem(&Secret::new(text.as_ref())) {
            Ok(signer) => assert!(!format!("{signer:?}").contains("MII")),
            Err(error) => {
                let said = format!("{error} {error:?}");
                let repeated =
                    text.lines().find(|line| line.len() > 20 && !line.contains("--") && said.contains(line));
                assert!(repeated.is_none() && said.len() < 1000, "{said}");
            }
        }
    });
}

#[test]
fn a_damaged_list_of_the_agents_proxy_bypasses_nothing_or_what_it_says() {
    let seeds = texts(&[
        r#"["^https://.*\\.contoso\\.com/","localhost","(a|b){2,5}c*"]"#,
        r#"["\\\\p{L}+$","[^/]*"]"#,
    ]);
    let words =
        ["{1000}", "{99999}", "(", ")*", "[", "\\\\p{L}", "(?R)", "|", "+", "(?i)", "\"", ",", "(.*)*", "$"];
    feed("bypass list", 4, &seeds, &words, |bytes| {
        let list = String::from_utf8_lossy(bytes).into_owned();
        let variables = BTreeMap::from([
            ("AGENT_PROXYURL", "http://proxy:3128"),
            ("AGENT_PROXYBYPASSLIST", list.as_str()),
        ]);
        let proxies = Proxies::read(|name| variables.get(name).copied()).expect("a list is never an error");
        assert!(proxies.any());
    });
    let seeds =
        texts(&["http://user:p%40ss@proxy.contoso.com:3128", "proxy:80", "socks5://x", "https://[::1]:1/"]);
    feed("proxy", 2, &seeds, &["://", "@", ":", "[", "%", "%zz", "#", "\u{0}", "é"], |bytes| {
        let url = String::from_utf8_lossy(bytes).into_owned();
        let read = Proxies::read(|name| (name == "HTTPS_PROXY").then_some(url.as_str()));
        if let Ok(proxies) = read {
            assert!(!format!("{proxies:?}").contains("p%40ss"), "a password is printed");
        }
    });
}

#[test]
fn damaged_headers_of_an_operation_lead_nowhere_strange() {
    let seeds = texts(&[
        "https://management.azure.com/subscriptions/s/operationresults/1?api-version=2024-11-01",
        "/relative",
        "15",
    ]);
    let words = ["//", "@evil.example", "https://", "\\", "%2f", "..", "#", ":99999", "[", "é", "\t"];
    feed("location", 1, &seeds, &words, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        // An empty 200 is how a swap's operation may end.
        if bytes.is_empty() {
            return;
        }
        for status in [202, 200, 201, 409] {
            let headers =
                ["location", "retry-after"].map(|name| (HeaderName::from_static(name), value.clone()));
            let headers = HeaderMap::from_iter(headers);
            let body = bytes::Bytes::copy_from_slice(bytes);
            let read = operation::read(&Answer { status, headers, body, complete: true });
            assert_ne!(read, Reading::Succeeded, "nonsense is no success");
            if let Reading::Running { location, retry_after } = read {
                assert!(location.is_none_or(|url| !url.scheme().is_empty()));
                assert!(retry_after.is_none_or(|wait| wait.as_secs() <= 600));
            }
        }
    });
}
