//! GitHub Actions: workflow commands and environment files (github-actions §2, §3).

use std::io::Write;
use std::path::Path;

use super::Order;

/// A workflow command; escaped so that no text in it can end it or begin another.
pub fn command(name: &str, properties: &[(&str, &str)], data: &str) -> Order {
    let mut line = format!("::{name}");
    for (position, (key, value)) in properties.iter().enumerate() {
        line.push(if position == 0 { ' ' } else { ',' });
        line.push_str(key);
        line.push('=');
        line.push_str(&escaped(value).replace(':', "%3A").replace(',', "%2C"));
    }
    line.push_str("::");
    line.push_str(&escaped(data));
    Order(line)
}

/// `%` first, then the line breaks (actions/runner ActionCommand.cs).
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Appends values to an environment file, each in a heredoc whose delimiter cannot be
/// guessed by what it encloses (actions/toolkit file-command.ts).
///
/// # Errors
///
/// What the file system says.
pub fn append_values(path: &Path, values: &[(&str, String)]) -> std::io::Result<()> {
    let delimiter = format!("slotway_{}", uuid::Uuid::new_v4());
    let text: String =
        values.iter().map(|(name, value)| format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")).collect();
    append(path, &text)
}

/// Appends to a file such as the step's summary.
///
/// # Errors
///
/// What the file system says.
pub fn append(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the runner makes of data.
    fn unescaped(text: &str) -> String {
        text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    }

    proptest! {
        #[test]
        fn data_comes_back_as_it_was_and_stays_in_one_line(text in "[%0AD25\\r\\n:,a-z]*") {
            let Order(line) = command("error", &[("title", &text)], &text);
            prop_assert!(!line.contains(['\r', '\n']));
            let (head, data) = line[2..].split_once("::").expect("it is closed");
            prop_assert_eq!(unescaped(data), text);
            prop_assert!(!head.trim_start_matches("error title=").contains([':', ',']));
        }
    }

    #[test]
    fn a_value_cannot_end_its_own_heredoc() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("output");
        append_values(&path, &[("a", "x\nEOF\nb=evil".to_owned())]).expect("written");
        let text = std::fs::read_to_string(path).expect("readable");
        let delimiter = text.lines().next().expect("a line").trim_start_matches("a<<").to_owned();
        assert_eq!(text, format!("a<<{delimiter}\nx\nEOF\nb=evil\n{delimiter}\n"));
        assert!(delimiter.len() > 30);
    }
}
