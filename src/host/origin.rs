//! Which commit the host builds, and where it has put the sources.
//!
//! Owns the variables that tell it (github-actions §4, azure-pipelines §6). Must not
//! run anything: commits are read in [`super::history`].

use std::path::PathBuf;

use super::{Environment, Host};
use crate::source::Source;

/// The commit that this job builds, where the host says so.
pub fn source(host: Host, environment: &Environment) -> Option<Source> {
    let get = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    match host {
        Host::Terminal => None,
        Host::GitHub => {
            let repository = format!("{}/{}", get("GITHUB_SERVER_URL")?, get("GITHUB_REPOSITORY")?);
            let run = get("GITHUB_RUN_ID").map(|id| format!("{repository}/actions/runs/{id}"));
            Source::new(&repository, get("GITHUB_SHA")?, get("GITHUB_REF"), run.as_deref())
        }
        Host::AzurePipelines => Source::new(
            get("BUILD_REPOSITORY_URI")?,
            get("BUILD_SOURCEVERSION")?,
            get("BUILD_SOURCEBRANCH"),
            run_of_azure_pipelines(environment).as_deref(),
        ),
    }
}

/// `{collection}{project}/_build/results?buildId=…`; projects have spaces in their names
/// (azure-pipelines §6, "Run link").
fn run_of_azure_pipelines(environment: &Environment) -> Option<String> {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let collection = environment.get("SYSTEM_COLLECTIONURI")?.trim_end_matches('/');
    let project = utf8_percent_encode(environment.get("SYSTEM_TEAMPROJECT")?, NON_ALPHANUMERIC);
    let id = environment.get("BUILD_BUILDID").filter(|id| !id.is_empty())?;
    Some(format!("{collection}/{project}/_build/results?buildId={id}&view=results"))
}

/// Where the host keeps the sources; the folder that a person stands in.
pub fn workspace(host: Host, environment: &Environment) -> PathBuf {
    let name = match host {
        Host::Terminal => return PathBuf::from("."),
        Host::GitHub => "GITHUB_WORKSPACE",
        Host::AzurePipelines => "BUILD_SOURCESDIRECTORY",
    };
    environment.get(name).filter(|path| !path.is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn github_names_repository_commit_branch_and_run() {
        let environment = environment(&[
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "contoso/web"),
            ("GITHUB_SHA", COMMIT),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_RUN_ID", "42"),
        ]);
        let source = source(Host::GitHub, &environment).expect("a source");
        assert_eq!(source.repository, "https://github.com/contoso/web");
        assert_eq!(source.commit_url(COMMIT), format!("https://github.com/contoso/web/commit/{COMMIT}"));
        assert_eq!(source.reference.as_deref(), Some("refs/heads/main"));
        assert_eq!(source.run_url.as_deref(), Some("https://github.com/contoso/web/actions/runs/42"));
    }

    #[test]
    fn azure_pipelines_names_them_with_the_projects_spaces_escaped() {
        let environment = environment(&[
            ("BUILD_REPOSITORY_URI", "https://contoso@dev.azure.com/contoso/My%20shop/_git/web"),
            ("BUILD_SOURCEVERSION", COMMIT),
            ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/contoso/"),
            ("SYSTEM_TEAMPROJECT", "My shop"),
            ("BUILD_BUILDID", "7"),
        ]);
        let source = source(Host::AzurePipelines, &environment).expect("a source");
        assert_eq!(source.repository, "https://dev.azure.com/contoso/My%20shop/_git/web");
        let run = source.run_url.expect("a run");
        assert_eq!(run, "https://dev.azure.com/contoso/My%20shop/_build/results?buildId=7&view=results");
    }

    #[test]
    fn a_laptop_builds_no_commit_that_anybody_said() {
        assert_eq!(source(Host::Terminal, &environment(&[("GITHUB_SHA", COMMIT)])), None);
    }
}
