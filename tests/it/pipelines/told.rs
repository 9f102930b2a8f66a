//! What a host was told, in a form that compares: commands and outputs, with whatever
//! differs from run to run replaced by words.

use regex::Regex;

use super::cloud::Cloud;
use super::example::Values;
use super::started::HostCommand;

/// Words for what differs from run to run.
pub(super) struct Words(Vec<(String, &'static str)>);

impl Words {
    /// The addresses of a cloud.
    pub(super) fn of(cloud: &Cloud) -> Self {
        let mut words = Self(Vec::new());
        for (slot, word) in [("production", "@PRODUCTION@"), ("staging", "@STAGING@")] {
            words.call(&cloud.service.url(slot), word);
            let scm = cloud.service.ready["slots"][slot]["scm_url"].as_str().expect("a URL");
            words.call(scm, if slot == "staging" { "@STAGING-SCM@" } else { "@PRODUCTION-SCM@" });
        }
        for (name, word) in [("resource_manager", "@ARM@/"), ("authority", "@ENTRA@")] {
            words.call(cloud.get(name), word);
        }
        for (name, word) in
            [("client_id", "@CLIENT@"), ("tenant_id", "@TENANT@"), ("subscription_id", "@SUBSCRIPTION@")]
        {
            words.call(cloud.get(name), word);
        }
        words
    }

    pub(super) fn call(&mut self, what: &str, word: &'static str) {
        if !what.is_empty() {
            self.0.push((what.to_owned(), word));
        }
    }

    pub(super) fn replace(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (what, word) in &self.0 {
            text = text.replace(what, word);
        }
        let patterns = [
            (r"/[^ ]*/_temp/slotway/[0-9a-f-]{36}-", "@TEMP@/"),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "@GUID@"),
            (r"\b\d+(\.\d+)? (ms|s|min)\b", "@TIME@"),
        ];
        for (pattern, word) in patterns {
            text = Regex::new(pattern).expect("a pattern").replace_all(&text, word).into_owned();
        }
        text
    }
}

/// The commands one below the other, but for those that mask, and the outputs.
pub(super) fn told(words: &Words, commands: &[HostCommand], outputs: &Values) -> String {
    assert_groups(commands);
    let mut lines = Vec::new();
    for command in commands {
        if matches!(command.name.as_str(), "add-mask" | "task.setsecret" | "task.setvariable" | "endgroup") {
            continue;
        }
        let properties: Vec<String> =
            command.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let parts = [command.name.clone(), properties.join(" "), command.data.replace('\n', "\n    ")];
        lines.push(parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" | "));
    }
    for (name, value) in outputs {
        let gap = name.to_lowercase().replace('-', "") == "swapgap" && !value.is_empty();
        lines.push(format!("{name} = {}", if gap { "@MS@" } else { value.as_str() }).trim_end().to_owned());
    }
    words.replace(&lines.join("\n"))
}

/// Groups do not nest on either host, each has its end, and no annotation is hidden in one.
fn assert_groups(commands: &[HostCommand]) {
    let mut open = false;
    for command in commands {
        match command.name.as_str() {
            "group" => assert!(!std::mem::replace(&mut open, true), "a group in a group"),
            "endgroup" => assert!(std::mem::replace(&mut open, false), "an end without a group"),
            "error" | "warning" | "notice" | "task.logissue" => assert!(!open, "hidden: {}", command.data),
            _ => {}
        }
    }
    assert!(!open, "the last group has no end");
}
