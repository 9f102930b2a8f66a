//! Azure Pipelines: logging commands (azure-pipelines §5).

use super::Order;

/// A logging command; escaped so that no text in it can end it or begin another.
pub fn command(name: &str, properties: &[(&str, &str)], message: &str) -> Order {
    let mut line = format!("##vso[{name}");
    for (position, (key, value)) in properties.iter().filter(|(_, value)| !value.is_empty()).enumerate() {
        if position == 0 {
            line.push(' ');
        }
        line.push_str(key);
        line.push('=');
        line.push_str(&escaped(value).replace(']', "%5D").replace(';', "%3B"));
        line.push(';');
    }
    line.push(']');
    line.push_str(&escaped(message));
    Order(line)
}

/// A command that only shapes the log, such as a group (azure-pipelines §5.2). Nothing is
/// decoded there, so the text has to be one line.
pub fn format_command(name: &str, text: &str) -> Order {
    Order(format!("##[{name}]{}", text.replace(['\r', '\n'], " ")))
}

/// `%` first, in the agent's own spelling (azure-pipelines §5.1).
fn escaped(text: &str) -> String {
    text.replace('%', "%AZP25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The name of an output there: `release-id` becomes `releaseId`.
pub fn output_name(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for character in name.chars() {
        match character {
            '-' => upper = true,
            _ if upper => {
                out.extend(character.to_uppercase());
                upper = false;
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(text: &str) -> String {
        text.replace("%0D", "\r").replace("%0A", "\n").replace("%AZP25", "%")
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was_and_stays_in_one_line(text in "[%0AZPD25\\r\\n;\\]a-z]*") {
            let Order(line) = command("task.logissue", &[("type", "error"), ("code", &text)], &text);
            prop_assert!(!line.contains(['\r', '\n']));
            let (head, message) = line.split_once(']').expect("it is closed");
            prop_assert_eq!(unescaped(message), text);
            prop_assert!(head.starts_with("##vso[task.logissue type=error;"));
        }
    }

    #[test]
    fn outputs_have_names_without_hyphens() {
        assert_eq!(output_name("release-id"), "releaseId");
        assert_eq!(output_name("outcome"), "outcome");
    }
}
