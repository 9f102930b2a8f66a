//! What an upload's query asks for.
//!
//! Owns the meaning of every parameter of OneDeploy, zipdeploy and wardeploy, and of what
//! Resource Manager is given in their place (kudu-deploy.md §3, §4). Pure. Not modelled:
//! `reset`, remote builds.

use std::path::PathBuf;

use serde_json::Value;

use crate::emulator::wire::Query;
use crate::emulator::world::{PackageKind, Upload};

/// What an upload's query asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    kind: PackageKind,
    path: Option<String>,
    clean: bool,
    restart: bool,
    /// Whether the answer comes before the work is done.
    pub(super) asynchronous: bool,
    /// Whether deploymentStatus is to be asked.
    pub(super) tracked: bool,
    /// Whether it is OneDeploy.
    pub(super) one_deploy: bool,
    deployer: String,
    message: String,
    author: String,
}

impl Order {
    /// The upload that the world is given.
    pub(super) fn upload(&self, file: PathBuf, checksum: Option<&str>) -> Upload {
        Upload {
            file,
            kind: self.kind,
            path: self.path.clone(),
            clean: self.clean,
            restart: self.restart,
            sha256: checksum.map(|text| text.trim().to_ascii_lowercase()),
            deployer: self.deployer.clone(),
            message: self.message.clone(),
            author: self.author.clone(),
        }
    }

    /// What stands behind `deployer=` in the Location (seen-in-recordings.md 22).
    pub(super) fn location_deployer(&self, linux: bool) -> &'static str {
        match (self.one_deploy, linux) {
            (true, _) => "OneDeploy",
            (false, true) => "Push-Deployer",
            (false, false) => "ZipDeploy",
        }
    }
}

/// Reads the query of an upload to one of the three endpoints.
///
/// # Errors
///
/// Kudu's text for 400.
pub(super) fn read(endpoint: &str, query: &Query, linux: bool) -> Result<Order, String> {
    let flag = |name: &str, usual: bool| query.flag(name).unwrap_or(usual);
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let common = |kind, deployer: &str, message: &str| Order {
        kind,
        path: None,
        clean: false,
        restart: true,
        asynchronous: flag("isAsync", false),
        tracked: flag("trackDeploymentProgress", false),
        one_deploy: false,
        deployer: text("deployer").unwrap_or_else(|| deployer.to_owned()),
        message: text("message").unwrap_or_else(|| message.to_owned()),
        author: text("author").unwrap_or_else(|| "N/A".to_owned()),
    };
    let pushed = "Created via a push deployment";
    let deployer = if linux { "Push-Deployer" } else { "ZipDeploy" };
    match endpoint {
        "zipdeploy" => Ok(Order {
            clean: flag("clean", false),
            restart: flag("restart", true),
            ..common(PackageKind::Zip, deployer, pushed)
        }),
        "wardeploy" => {
            let name = text("name").unwrap_or_else(|| "ROOT".to_owned());
            let path = Some(checked_path(&format!("webapps/{name}"))?);
            Ok(Order { path, clean: true, ..common(PackageKind::War, deployer, pushed) })
        }
        _ => one_deploy(query),
    }
}

/// The same order as Resource Manager is given it: the parameters are properties of a body and the work is
/// always done behind the answer (kudu-deploy.md §3, last paragraph).
///
/// # Errors
///
/// Kudu's text for 400.
pub(super) fn from_properties(properties: &Value) -> Result<Order, String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in properties.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => query.append_pair(name, text),
            Value::Bool(_) | Value::Number(_) => query.append_pair(name, &value.to_string()),
            _ => continue,
        };
    }
    let order = one_deploy(&Query::new(Some(&query.finish())))?;
    Ok(Order { asynchronous: true, ..order })
}

/// `/api/publish`. The query's deployer and message are ignored, both are "OneDeploy"
/// (kudu-deploy.md §3, seen-in-recordings.md 22 and 25).
fn one_deploy(query: &Query) -> Result<Order, String> {
    let named = query.get("type").unwrap_or_default();
    let kind = match named.to_ascii_lowercase().as_str() {
        "zip" => PackageKind::Zip,
        "war" => PackageKind::War,
        "jar" => PackageKind::Jar,
        "ear" => PackageKind::Ear,
        "lib" => PackageKind::Lib,
        "static" => PackageKind::Static,
        "script" => PackageKind::Script,
        "startup" => PackageKind::Startup,
        _ => return Err(format!("type='{named}' not recognized")),
    };
    let flag = |name: &str, usual: bool| query.flag(name).unwrap_or(usual);
    let path = query.get("path").filter(|path| !path.is_empty());
    let needs_path = matches!(kind, PackageKind::Lib | PackageKind::Static | PackageKind::Script);
    if needs_path && path.is_none_or(|path| path.ends_with('/')) {
        return Err("Path must be defined for this type of artifact and must not end with '/'.".to_owned());
    }
    let clean = flag("clean", kind == PackageKind::Zip);
    if let Some(path) = path {
        let whole = path.trim_end_matches('/').to_ascii_lowercase();
        if clean && matches!(whole.as_str(), "" | "/home" | "/home/site") {
            return Err(format!("Clean deployments cannot be performed in the directory {path}"));
        }
    }
    Ok(Order {
        kind,
        path: path.map(checked_path).transpose()?.filter(|path| !path.is_empty()),
        clean,
        restart: flag("restart", true),
        asynchronous: flag("async", false),
        tracked: flag("trackDeploymentProgress", false),
        one_deploy: true,
        deployer: "OneDeploy".to_owned(),
        message: "OneDeploy".to_owned(),
        author: "N/A".to_owned(),
    })
}

/// A path below wwwroot; the absolute spelling is taken too. Must not contain `..`
/// (kudu-deploy.md §3).
fn checked_path(path: &str) -> Result<String, String> {
    let wwwroot = "/home/site/wwwroot";
    let below = match path.get(..wwwroot.len()) {
        Some(start) if start.eq_ignore_ascii_case(wwwroot) => &path[wwwroot.len()..],
        _ if path.to_ascii_lowercase().starts_with("/home") => {
            return Err(format!("The emulator deploys below {wwwroot} only, not to {path}"));
        }
        _ => path,
    };
    let below = below.trim_matches('/');
    let wrong = below.contains('\\')
        || below.chars().any(char::is_control)
        || below.split('/').any(|part| part == ".." || part == ".");
    if wrong { Err(format!("Path '{path}' is not valid")) } else { Ok(below.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: &str, query: &str, linux: bool) -> Result<Order, String> {
        super::read(endpoint, &Query::new(Some(query)), linux)
    }

    #[test]
    fn clean_is_usual_for_zip_and_for_nothing_else() {
        let zip = read("publish", "type=ZIP&async=True", true).expect("well formed");
        assert!(zip.clean && zip.restart && zip.asynchronous && zip.one_deploy);
        let war = read("publish", "type=war&restart=False", true).expect("well formed");
        assert!(!war.clean && !war.restart && !war.asynchronous);
        let old = read("zipdeploy", "isAsync=true&message=hello&deployer=me", false).expect("well formed");
        assert_eq!((old.clean, old.message.as_str(), old.deployer.as_str()), (false, "hello", "me"));
        let fixed = read("publish", "type=zip&deployer=me&message=hello", true).expect("well formed");
        assert_eq!((fixed.deployer.as_str(), fixed.message.as_str()), ("OneDeploy", "OneDeploy"));
    }

    #[test]
    fn paths_stay_below_wwwroot() {
        let path = |query: &str| read("publish", query, true).map(|order| order.path);
        assert_eq!(path("type=static&path=/home/site/wwwroot/a/b.html"), Ok(Some("a/b.html".to_owned())));
        assert_eq!(path("type=zip&path=sub/"), Ok(Some("sub".to_owned())));
        assert_eq!(path("type=zip"), Ok(None));
        for query in [
            "type=static",
            "type=static&path=a/",
            "type=zip&path=../../etc",
            "type=zip&path=a/./b",
            "type=zip&path=/home&clean=true",
            "type=zip&path=/home/site/libs",
            "type=exe",
            "",
        ] {
            assert!(path(query).is_err(), "{query}");
        }
    }

    #[test]
    fn resource_managers_properties_are_the_same_order_behind_the_answer() {
        let properties = serde_json::json!({"packageUri": "x", "type": "zip", "clean": false, "path": null});
        let order = from_properties(&properties).expect("well formed");
        assert_eq!(
            order,
            Order { asynchronous: true, ..read("publish", "type=zip&clean=false", true).expect("same") }
        );
        assert!(from_properties(&serde_json::json!({})).is_err());
    }
}
