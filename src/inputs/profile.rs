//! A step that signs in with a publish profile: what it may do, and with what.
//!
//! Owns the rules of that way: two verbs, no image, no start command, never production.
//! Must not repeat any of the profile's text.

use std::path::PathBuf;

use super::{Check, Environment, Problem, Raw};
use crate::azure::PublishProfile;
use crate::names::{SiteName, SlotName};

/// What a deployment or a check by publish profile needs.
#[derive(Debug, Clone)]
pub struct ProfileInputs {
    /// The profile; its slot is never production where something is deployed.
    pub profile: PublishProfile,
    /// The package.
    pub package: Option<PathBuf>,
    /// Its type, where it is not to be detected.
    pub package_type: Option<String>,
    /// Where it goes.
    pub target_path: Option<String>,
    /// Whether files that are not in the package are removed.
    pub clean: Option<bool>,
    /// Whether the app is restarted.
    pub restart: Option<bool>,
}

/// Inputs that mean another way to sign in.
const OTHER_WAYS: [&str; 7] = [
    "auth",
    "creds",
    "azure-subscription",
    "client-id",
    "client-secret",
    "certificate-file",
    "federated-token-file",
];

/// Checks everything, where a publish profile is given; nothing where none is.
///
/// # Errors
///
/// Every [`Problem`] there is.
pub fn profile(
    raw: &Raw,
    environment: &Environment,
    verb: &str,
) -> Result<Option<ProfileInputs>, Vec<Problem>> {
    if raw.get("publish-profile").is_none() {
        return Ok(None);
    }
    let mut check = Check { raw, environment, problems: Vec::new() };
    check.one_way();
    let deploys = verb == "deploy";
    if !deploys && verb != "check" {
        let message = format!(
            "cannot sign in for {verb}: it opens the SCM site only, and {verb} calls Resource Manager"
        );
        let help = "use it with deploy or check, and sign in otherwise here: with client-id (GitHub OIDC), azure-subscription, creds, or the Azure CLI";
        check.problem("publish-profile", message, help);
    }
    let profile = check.profile(deploys);
    let (clean, restart) = (check.boolean("clean"), check.boolean("restart"));
    if deploys {
        check.only_a_package();
    }
    match profile {
        Some(profile) if check.problems.is_empty() => Ok(Some(ProfileInputs {
            profile,
            package: raw.get("package").map(PathBuf::from),
            package_type: raw.get("type").map(str::to_owned),
            target_path: raw.get("target-path").map(str::to_owned),
            clean,
            restart,
        })),
        _ => Err(check.problems),
    }
}

impl Check<'_> {
    /// Two ways to sign in: neither is tried in silence.
    fn one_way(&mut self) {
        for other in OTHER_WAYS {
            if self.raw.get(other).is_some() && !self.raw.is_ambient(other) {
                self.problem(other, "is given beside publish-profile", "give one of the two");
            }
        }
    }

    fn profile(&mut self, deploys: bool) -> Option<PublishProfile> {
        let text = self.text("publish-profile")?;
        let profile = match PublishProfile::read(&text) {
            Ok(profile) => profile,
            Err(error) => {
                self.problem("publish-profile", error.to_string(), error.help());
                return None;
            }
        };
        if deploys && profile.slot.is_production() {
            let message = "is that of production itself, and nothing is ever deployed there directly";
            let help = "give the profile of the staging slot, from the slot's own page";
            self.problem("publish-profile", message, help);
        }
        if let Some(site) = self.name("app-name", SiteName::new)
            && site != profile.site
        {
            let message = format!("is {site}, and publish-profile is of {}", profile.site);
            self.problem("app-name", message, "give the profile of this app, or leave app-name out");
        }
        if let Some(slot) = self.name("slot-name", SlotName::new)
            && slot != profile.slot
        {
            let message = format!("is {slot}, and publish-profile is of {}", profile.slot);
            self.problem("slot-name", message, "give the profile of this slot, or leave slot-name out");
        }
        Some(profile)
    }

    /// Images and start commands are configuration, which Resource Manager keeps.
    fn only_a_package(&mut self) {
        let configured =
            ["images", "startup-command"].into_iter().filter(|name| self.raw.get(name).is_some());
        for name in configured.collect::<Vec<_>>() {
            let message = "cannot be set with a publish profile: it is a part of the slot's configuration";
            self.problem(name, message, "sign in with client-id (GitHub OIDC), azure-subscription or creds");
        }
        if self.raw.get("package").is_none() && self.raw.get("images").is_none() {
            self.missing("package");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Source;

    fn text(user: &str) -> String {
        format!(
            "<publishData><publishProfile publishMethod=\"ZipDeploy\" publishUrl=\"web-staging.scm.azurewebsites.net:443\" \
             userName=\"{user}\" userPWD=\"planted\" destinationAppUrl=\"http://web-staging.azurewebsites.net\"/></publishData>"
        )
    }

    fn problems(verb: &str, pairs: &[(&'static str, &str)]) -> Vec<(String, String)> {
        let mut raw = Raw::default();
        for (name, value) in pairs {
            raw.offer(name, *value, Source::Flag);
        }
        match profile(&raw, &Environment::default(), verb) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .into_iter()
                .inspect(|problem| assert!(!format!("{problem:?}").contains("planted")))
                .map(|problem| (problem.input, problem.message))
                .collect(),
        }
    }

    fn inputs(problems: &[(String, String)]) -> Vec<&str> {
        problems.iter().map(|(input, _)| input.as_str()).collect()
    }

    #[test]
    fn a_slots_profile_needs_nothing_but_a_package() {
        let staging = text("$web__staging");
        assert!(problems("deploy", &[("publish-profile", &staging), ("package", "dist")]).is_empty());
        assert!(problems("check", &[("publish-profile", &staging)]).is_empty());
        assert!(
            problems("check", &[("publish-profile", &text("$web"))]).is_empty(),
            "a look is no deployment"
        );
        assert!(matches!(profile(&Raw::default(), &Environment::default(), "release"), Ok(None)));
    }

    #[test]
    fn what_it_cannot_do_is_said_at_once() {
        let staging = text("$web__staging");
        for verb in ["release", "swap", "rollback", "plan", "status"] {
            let found = problems(verb, &[("publish-profile", &staging)]);
            assert_eq!(inputs(&found), ["publish-profile"]);
            assert!(found[0].1.contains(&format!("for {verb}")), "{found:?}");
        }
        let found = problems(
            "deploy",
            &[
                ("publish-profile", &text("$web")),
                ("app-name", "other"),
                ("slot-name", "staging"),
                ("client-id", "x"),
                ("images", "a:1"),
                ("startup-command", "run"),
            ],
        );
        let expected = ["client-id", "publish-profile", "app-name", "slot-name", "images", "startup-command"];
        assert_eq!(inputs(&found), expected);
        assert_eq!(inputs(&problems("deploy", &[("publish-profile", "<x")])), ["publish-profile", "package"]);
    }
}
