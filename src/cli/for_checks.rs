//! What the commands of `run:` checks get of this process's environment.
//!
//! Owns which variables are kept from them. Must not add any: a check's own are its room's.

use crate::host::Environment;
use crate::inputs::{INPUTS, Kind, Raw};

/// Shorter secrets would be found in values that have nothing to do with them.
const SHORTEST_SECRET: usize = 6;

/// Parts of names by which secrets are known.
const TELLING: [&str; 22] = [
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "CREDENTIAL",
    "CREDS",
    "PUBLISH_PROFILE",
    "CONNECTION",
    "PRIVATE",
    "APIKEY",
    "COOKIE",
    "_KEY",
    "_PAT",
    "_PWD",
    "_SAS",
    "PRINCIPALKEY",
    // What the hosts hand in, and what an agent and its tasks keep.
    "INPUT_",
    "ENDPOINT_AUTH",
    "SECUREFILE_",
    "VSTS_TASKVARIABLE_",
    // A managed identity's.
    "IDENTITY_HEADER",
];

/// Everything but what looks like a secret, or holds one that was given to us: a check needs
/// its tools, not our keys.
pub(super) fn environment(environment: &Environment, raw: &Raw) -> Vec<(String, String)> {
    let secrets: Vec<&str> = INPUTS
        .iter()
        .filter(|input| input.kind == Kind::Secret)
        .filter_map(|input| raw.get(input.name))
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .collect();
    let tells = |name: &str| {
        let name = name.to_ascii_uppercase();
        TELLING.iter().any(|part| name.contains(part))
    };
    let holds_one = |value: &str| secrets.iter().any(|secret| value.contains(secret));
    let kept = environment.iter().filter(|(name, value)| !tells(name) && !holds_one(value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Source;

    #[test]
    fn a_secret_is_kept_back_by_its_name_or_by_its_value() {
        let mut raw = Raw::default();
        raw.offer("client-secret", "hunter2hunter2", Source::Environment);
        let all = [
            ("PATH", "/bin"),
            ("HOME", "/home"),
            ("idToken", "x"),
            ("IDENTITY_HEADER", "x"),
            ("Db_Password", "x"),
            ("HARMLESS", "user:hunter2hunter2@server"),
        ];
        let all: Environment =
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let kept = environment(&all, &raw);
        let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["HOME", "PATH"]);
    }
}
