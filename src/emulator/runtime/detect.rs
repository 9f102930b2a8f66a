//! What kind of app a folder holds, and the command that starts it.
//!
//! Owns the usual commands. Must not start anything.

use std::path::Path;

use super::scripted::Script;
use crate::emulator::world::AppSpec;

/// How to run an app.
#[derive(Debug)]
pub(super) enum AppKind {
    /// In the process of the emulator, as its file says.
    Scripted(Script),
    /// A child process, started by a shell.
    Command(String),
    /// No process: the folder is served.
    Static,
}

/// Looks into the folder. A script goes before a start command, which goes before the usual ones.
///
/// The usual ones follow what App Service's images do for Node, Python and Java
/// (the start script of `package.json`, `server.js`, `app.py`, a jar); a lone `app.js` or `index.js`
/// without `package.json` is a browser's script.
pub(super) fn detect(app: &AppSpec) -> Result<AppKind, String> {
    if let Some(image) = &app.missing_image {
        // The platform's words are unconfirmed.
        return Err(format!("Pulling the image {image} failed: no registry of this scenario holds it"));
    }
    let script = app.folder.join(super::scripted::FILE);
    if script.is_file() {
        let text = std::fs::read_to_string(&script)
            .map_err(|error| format!("{}: {error}", super::scripted::FILE))?;
        return Script::read(&text).map(AppKind::Scripted);
    }
    if let Some(command) = &app.start_command {
        return Ok(AppKind::Command(command.clone()));
    }
    if let Some(command) = node(&app.folder)? {
        return Ok(AppKind::Command(command));
    }
    if app.folder.join("app.py").is_file() {
        return Ok(AppKind::Command("exec python3 app.py".to_owned()));
    }
    Ok(jar(&app.folder).map_or(AppKind::Static, AppKind::Command))
}

fn node(folder: &Path) -> Result<Option<String>, String> {
    let package = folder.join("package.json");
    if package.is_file() {
        let text = std::fs::read_to_string(&package).map_err(|error| format!("package.json: {error}"))?;
        let package: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("package.json: {error}"))?;
        if let Some(start) = package["scripts"]["start"].as_str() {
            // What npm does, without npm.
            return Ok(Some(format!("PATH=\"$PWD/node_modules/.bin:$PATH\"; export PATH; {start}")));
        }
        let main = package["main"].as_str().into_iter();
        let browser = folder.join("index.html").is_file();
        let usual = ["server.js", "app.js", "index.js"].into_iter().take(if browser { 1 } else { 3 });
        let found = main.chain(usual).find(|name| folder.join(name).is_file());
        return Ok(found.map(|name| format!("exec node {}", quoted(name))));
    }
    Ok(folder.join("server.js").is_file().then(|| "exec node server.js".to_owned()))
}

/// `app.jar`, or the only jar there is.
fn jar(folder: &Path) -> Option<String> {
    if folder.join("app.jar").is_file() {
        return Some("exec java -jar app.jar".to_owned());
    }
    let names =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let jars: Vec<String> = names.filter(|name| name.to_ascii_lowercase().ends_with(".jar")).collect();
    match jars.as_slice() {
        [only] => Some(format!("exec java -jar {}", quoted(&format!("./{only}")))),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::world::SlotRef;
    use crate::names::SiteName;

    fn kind(files: &[(&str, &str)], start_command: Option<&str>) -> Result<AppKind, String> {
        let folder = tempfile::tempdir().expect("folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("file");
        }
        detect(&AppSpec {
            slot: SlotRef::production(SiteName::new("app").expect("name")),
            folder: folder.path().to_owned(),
            home: folder.path().to_owned(),
            missing_image: None,
            start_command: start_command.map(str::to_owned),
            environment: Default::default(),
            worker_index: 0,
        })
    }

    fn command(files: &[(&str, &str)]) -> Option<String> {
        match kind(files, None).expect("detects") {
            AppKind::Command(command) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn the_usual_commands() {
        assert_eq!(command(&[("index.html", "")]), None);
        assert_eq!(command(&[("index.html", ""), ("app.js", "")]), None);
        assert_eq!(command(&[("server.js", "")]).as_deref(), Some("exec node server.js"));
        assert_eq!(command(&[("app.py", "")]).as_deref(), Some("exec python3 app.py"));
        assert_eq!(command(&[("it's.jar", "")]).as_deref(), Some(r"exec java -jar './it'\''s.jar'"));
        assert_eq!(command(&[("a.jar", ""), ("b.jar", "")]), None);
        let package = r#"{"scripts": {"start": "node main.js"}}"#;
        assert!(
            command(&[("package.json", package)]).is_some_and(|command| command.ends_with("; node main.js"))
        );
        assert_eq!(command(&[("package.json", "{}"), ("app.js", "")]).as_deref(), Some("exec node 'app.js'"));
        assert!(kind(&[("package.json", "{")], None).is_err());
    }

    #[test]
    fn a_script_goes_before_a_start_command() {
        let files = [("scripted-app.yml", "version: '1'"), ("server.js", "")];
        assert!(matches!(kind(&files, Some("sleep 1")), Ok(AppKind::Scripted(_))));
        assert!(
            matches!(kind(&files[1..], Some("sleep 1")), Ok(AppKind::Command(command)) if command == "sleep 1")
        );
        assert!(kind(&[("scripted-app.yml", "verzion: 1")], None).is_err());
    }
}
