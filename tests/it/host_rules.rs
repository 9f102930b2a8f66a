//! How both hosts read a log, written anew from their sources for the tests: whatever these
//! take for a command would have been obeyed.
//!
//! GitHub: actions/runner src/Runner.Common/ActionCommand.cs (`TryParseV2`, `TryParse`),
//! src/Runner.Worker/FileCommandManager.cs. Azure Pipelines: azure-pipelines-agent
//! src/Microsoft.VisualStudio.Services.Agent/Command.cs. Both look for their prefixes with
//! .NET's `IndexOf` and `StartsWith`, which pass over characters without weight.

use std::sync::LazyLock;

use regex::Regex;

/// A command that a host would carry out, or a line that it would dress up as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) data: String,
}

/// What an order of culture gives no weight, and more: ICU's root collation (which .NET uses
/// outside Windows) passes over some hundred marks, the tatweel U+0640, the N'Ko U+07FA, and
/// U+1CD3. Which marks these are changes with its version, so all marks and all modifier
/// letters are taken for weightless here, also the many that have a weight.
static WEIGHTLESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"[\p{Cf}\p{Default_Ignorable_Code_Point}\p{M}\p{Lm}\x{1cd3}\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]",
    )
    .expect("a class")
});

/// The lines that a host reads: .NET's `ReadLine` ends one at LF, CR and CRLF.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r'])
}

/// Whether a host's search passes over it.
pub(crate) fn is_weightless(character: char) -> bool {
    WEIGHTLESS.is_match(character.encode_utf8(&mut [0; 4]))
}

/// A line as a host's search sees it.
pub(crate) fn weighty(line: &str) -> String {
    WEIGHTLESS.replace_all(line, "").into_owned()
}

fn unescaped(text: &str, escapes: &[(&str, &str)]) -> String {
    escapes.iter().fold(text.to_owned(), |text, (token, replacement)| text.replace(replacement, token))
}

const PERCENT: (&str, &str) = ("%", "%25");
const CR: (&str, &str) = ("\r", "%0D");
const LF: (&str, &str) = ("\n", "%0A");

/// GitHub's runner. Any name counts: after `stop-commands` a name may be any text.
pub(crate) fn github(line: &str) -> Option<Command> {
    let line = weighty(line);
    current(&line).or_else(|| legacy(&line))
}

/// `::name key=value,key=value::data` at the beginning of a line, behind white space.
fn current(line: &str) -> Option<Command> {
    let (info, data) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let escapes = [CR, LF, (":", "%3A"), (",", "%2C"), PERCENT];
    Some(Command {
        name: name.to_owned(),
        properties: pairs(properties.trim(), ',', &escapes),
        data: unescaped(data, &[CR, LF, PERCENT]),
    })
}

/// `##[name key=value;]data` anywhere in a line.
fn legacy(line: &str) -> Option<Command> {
    let (_, rest) = line.split_once("##[")?;
    let (info, data) = rest.split_once(']')?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let escapes = [(";", "%3B"), CR, LF, ("]", "%5D"), PERCENT];
    Some(Command {
        name: name.to_owned(),
        properties: pairs(properties, ';', &escapes),
        data: unescaped(data, &escapes),
    })
}

/// Azure Pipelines' agent: `##vso[area.event key=value;]message` anywhere in a line, and the
/// lines that its log dresses up, `##[name]text`.
pub(crate) fn azure_pipelines(line: &str) -> Option<Command> {
    let line = weighty(line);
    // The agent compares with regard to case; a web console that does not shall find nothing either.
    let at = line.to_ascii_lowercase().find("##vso[");
    let Some(at) = at else { return legacy(&line) };
    let (info, data) = line[at + "##vso[".len()..].split_once(']')?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let percent = ("%", "%AZP25");
    Some(Command {
        name: name.to_owned(),
        properties: pairs(properties, ';', &[CR, LF, ("]", "%5D"), (";", "%3B"), percent]),
        data: unescaped(data, &[CR, LF, percent]),
    })
}

fn pairs(text: &str, separator: char, escapes: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        (!value.is_empty()).then(|| (key.trim().to_owned(), unescaped(value, escapes)))
    };
    text.split(separator).filter_map(pair).collect()
}

/// The first command in a text that either host would see.
pub(crate) fn order_in(text: &str) -> Option<Command> {
    lines(text).find_map(|line| github(line).or_else(|| azure_pipelines(line)))
}

/// An environment file of GitHub, as the runner reads it off Windows.
pub(crate) fn environment_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut values = Vec::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let line = line.trim_end_matches('\n');
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                values.push((line[..equals].to_owned(), line[equals + 1..].to_owned()));
            }
            (_, Some(heredoc)) => {
                let (name, delimiter) = (&line[..heredoc], &line[heredoc + 2..]);
                let mut value = String::new();
                loop {
                    let next = lines.next().ok_or_else(|| format!("no end of {name}"))?;
                    if next.trim_end_matches('\n') == delimiter {
                        break;
                    }
                    value.push_str(next);
                }
                values.push((name.to_owned(), value.strip_suffix('\n').unwrap_or(&value).to_owned()));
            }
            _ => return Err(format!("invalid format: {line}")),
        }
    }
    Ok(values)
}

#[test]
fn the_rules_know_every_form_of_a_command() {
    for line in [
        "::error::x",
        "  ::ERROR file=a,line=1::x",
        "\u{feff}::add-mask::x",
        ":\u{200d}:error::x",
        "::\0error::",
        "a ##[error]x",
        "##[set-env name=A;]b",
        "##vso[task.complete result=Failed;]",
        "x ##VSO[task.x]y",
        "#\u{ad}#vso[task.debug]",
    ] {
        assert!(order_in(line).is_some(), "{line:?}");
    }
    // Some of those that ICU's collation ignores, one of each block (Unicode's allkeys.txt).
    for ignored in "\u{488}\u{591}\u{5bd}\u{610}\u{640}\u{6d6}\u{740}\u{7fa}\u{8ca}\u{951}\u{f18}\u{f3f}\u{1cd0}\u{1cd3}\u{a670}\u{a8e0}\u{fe21}".chars() {
        for line in ["##@vso[task.complete]x", "#@#[add-path]", "##@[add-path]x]", ":@:error::x", "##v@so[task.x]"] {
            let line = line.replace('@', ignored.encode_utf8(&mut [0; 4]));
            assert!(order_in(&line).is_some(), "{line:?}");
        }
    }
    for line in ["std::io", "a ::error::b", ": :error::", "## [error]", "##", "::only"] {
        assert_eq!(order_in(line), None, "{line:?}");
    }
    let command = github("::error title=a%2Cb%3Ac,line=1::x%0Ay%25").expect("a command");
    assert_eq!(command.properties, [("title".into(), "a,b:c".into()), ("line".into(), "1".into())]);
    assert_eq!(command.data, "x\ny%");
    assert_eq!(
        environment_file("a=b\nc<<E\nx\ny\nE\n"),
        Ok(vec![("a".into(), "b".into()), ("c".into(), "x\ny".into())])
    );
}
