//! Foreign text made harmless: the one sanitiser for everything that comes from
//! outside and is shown.
//!
//! Owns what a log line may hold. Nothing it lets through is a command for a
//! pipeline's runner (`::x::`, `##[x]`, `##vso[x]`; github-actions §3,
//! azure-pipelines §5.3) or for a terminal, and the text stays readable.

/// The longest line that is shown.
const LONGEST_LINE: usize = 2000;

/// One line: control characters gone, runner commands broken apart by a space. A line
/// that went through it once goes through it unchanged.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST_LINE));
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '\u{1b}' {
            rest = after_escape(rest);
            continue;
        }
        let shown = match character {
            '\t' | '\n' | '\r' => Some(' '),
            _ if is_hidden(character) && !joins(&out, character) => None,
            _ => Some(character),
        };
        if let Some(shown) = shown {
            if out.len() >= LONGEST_LINE {
                if !out.ends_with('…') {
                    out.push('…');
                }
                break;
            }
            push_unless_command(&mut out, shown);
        }
        rest = &rest[character.len_utf8()..];
    }
    out
}

/// Several lines, each made harmless. A lone carriage return, which ends a line for the
/// hosts, ends none here: it becomes a space, as progress bars would fill pages.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(line).collect()
}

/// One line of at most so many characters, to be kept and compared: white space becomes one
/// space, control and hidden characters are gone. Its words stay as they are, commands too:
/// it passes [`line()`] when it is shown.
pub fn short(text: &str, longest: usize) -> String {
    let mut out = String::new();
    let (mut count, mut space) = (0, false);
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            space = count > 0;
            continue;
        }
        if is_hidden(character) {
            continue;
        }
        let needed = 1 + usize::from(space);
        if count + needed > longest {
            let end = out.char_indices().nth(longest.saturating_sub(1)).map_or(out.len(), |(at, _)| at);
            out.truncate(end);
            out.push('…');
            return out;
        }
        if std::mem::take(&mut space) {
            out.push(' ');
        }
        out.push(character);
        count += needed;
    }
    out
}

/// Adds a character, with a space before it where the two before it and it would
/// begin a command: `##[`, `##v`, `::`.
///
/// Beyond ASCII, hundreds of visible characters have no weight in the culture's order either,
/// such as U+0640 and the vowel points from U+0591 on, so that `#\u{640}#[` is `##[` to the
/// hosts. Which ones, each version of ICU says anew. So no character beyond ASCII ever stands
/// right behind a `#` or `:`, in which every command has to begin; dropping them would make
/// Arabic and Hebrew unreadable.
fn push_unless_command(out: &mut String, character: char) {
    let opens = match character {
        '[' | 'v' | 'V' => out.ends_with("##"),
        ':' => out.ends_with(':'),
        _ if !character.is_ascii() => out.ends_with(['#', ':']),
        _ => false,
    };
    if opens {
        out.push(' ');
    }
    out.push(character);
}

/// Control, format and other invisible characters, which could hide a command from a
/// reader or splice one together.
///
/// Both hosts look for their commands with .NET's `IndexOf` and `StartsWith` on text, which
/// skip what has no weight in the culture's order (actions/runner ActionCommand.cs,
/// azure-pipelines-agent Command.cs): `:\u{200d}:` is `::` to them. So everything that
/// Unicode calls a default-ignorable code point, a format control or a control is hidden.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a hidden character belongs to the letter or picture before it: joiners of
/// Persian and Indic words and of emoji, and the choice between text and picture. Commands
/// are ASCII, so behind anything else it can splice none together.
fn joins(out: &str, character: char) -> bool {
    let before = out.chars().next_back();
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
        && before.is_some_and(|before| !before.is_ascii() && !is_hidden(before))
}

/// What follows a terminal escape sequence (ECMA-48 §5.4, §8.3.89): parameters and final
/// byte of a CSI, an OSC up to its end, the bytes of any other. What does not belong to a
/// sequence is text, and stays.
fn after_escape(text: &str) -> &str {
    let rest = &text[1..];
    if let Some(sequence) = rest.strip_prefix('[') {
        let end = sequence.find(|character| !(' '..='?').contains(&character)).unwrap_or(sequence.len());
        return after_final(&sequence[end..]);
    }
    if let Some(command) = rest.strip_prefix(']') {
        let end = command.find(['\u{7}', '\u{1b}', '\r', '\n']);
        return match end.map(|end| command[end..].split_at(1)) {
            Some(("\u{7}", after)) => after,
            Some(("\u{1b}", after)) if after.starts_with('\\') => &after[1..],
            _ => command,
        };
    }
    after_final(rest.trim_start_matches(|character| (' '..='/').contains(&character)))
}

fn after_final(text: &str) -> &str {
    text.strip_prefix(|character| ('0'..='~').contains(&character)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_broken_and_text_stays_readable() {
        assert_eq!(line("##vso[task.setvariable x]"), "## vso[task.setvariable x]");
        assert_eq!(line("a ##[error]b"), "a ## [error]b");
        assert_eq!(line("::add-mask::x"), ": :add-mask: :x");
        assert_eq!(line("\u{1b}[31mred\u{1b}[0m and\tplain"), "red and plain");
        assert_eq!(line("#\u{200b}#[group]"), "## [group]");
        assert_eq!(line("std::io at 10:30"), "std: :io at 10:30");
        assert_eq!(line(":\u{200d}:error::"), ": :error: :");
        assert_eq!(line("\u{1b}]0;title\u{7}a \u{1b}]8;;x\u{1b}\\b"), "a b");
        assert_eq!(line("###vso[x]####[y]"), "### vso[x]#### [y]");
    }

    #[test]
    fn visible_characters_without_weight_join_no_command_and_stay() {
        assert_eq!(line("##\u{640}vso[task.complete]x"), "## \u{640}vso[task.complete]x");
        assert_eq!(line("#\u{591}#[add-path]"), "# \u{591}#[add-path]");
        assert_eq!(line(":\u{640}:error::x"), ": \u{640}:error: :x");
        assert_eq!(line("Größe: ä, 10:30 – C# und „Straße #1“"), "Größe: ä, 10:30 – C# und „Straße #1“");
        assert_eq!(line("שָׁלוֹם עֲלֵיכֶם، مـرحـبًا"), "שָׁלוֹם עֲלֵיכֶם، مـرحـبًا");
    }

    #[test]
    fn nothing_but_the_sequence_is_lost_where_one_is_cut_short() {
        assert_eq!(line("\u{1b}[31é done"), "é done");
        assert_eq!(line("\u{1b}]0;never ends"), "0;never ends");
        assert_eq!(line("\u{1b}é\u{1b}"), "é");
        assert_eq!(line("👩\u{200d}💻 ❤\u{fe0f} می\u{200c}خواهم"), "👩\u{200d}💻 ❤\u{fe0f} می\u{200c}خواهم");
    }

    #[test]
    fn only_a_longer_line_is_cut() {
        let whole = "x".repeat(LONGEST_LINE);
        assert_eq!(line(&whole), whole);
        assert_eq!(line(&format!("{whole}y")), format!("{whole}…"));
    }

    /// What either host would take for a command, anywhere in a line.
    fn is_command(line: &str) -> bool {
        let lower = line.to_ascii_lowercase();
        lower.contains("##vso[") || lower.contains("##[") || lower.contains("::")
    }

    #[test]
    fn a_short_line_keeps_its_words_and_its_length() {
        assert_eq!(short("a\r\n\tb\u{202e}c\u{0}", 10), "a bc");
        assert_eq!(short("##vso[x] ::y::", 20), "##vso[x] ::y::");
        assert_eq!(short("0123456789", 10), "0123456789");
        assert_eq!(short("0123456789a", 10), "012345678…");
        assert_eq!(short("12345 7", 6), "12345…");
    }

    proptest! {
        #[test]
        fn a_short_line_is_short_and_clean(text in ".{0,60}", longest in 1_usize..40) {
            let line = short(&text, longest);
            prop_assert!(line.chars().count() <= longest);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(!line.starts_with(' ') && !line.contains("  "));
        }

        #[test]
        fn nothing_that_is_let_through_is_a_command(text in ".*") {
            let shown = line(&text);
            prop_assert!(!is_command(&shown));
            prop_assert!(!is_command(&shown.chars().filter(char::is_ascii).collect::<String>()));
            prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn pieces_of_commands_never_join(parts in prop::collection::vec(
            prop::sample::select(vec!["#", "##", "[", "vso[", "V", "SO", ":", "::", "\u{200b}", "\u{640}", "\u{591}", "\r", "\n", "\0", "\u{1b}", "\u{1b}[", "m", "]", " "]), 0..20,
        )) {
            let shown = line(&parts.concat());
            prop_assert!(!is_command(&shown), "{:?}", shown);
            let ascii: String = shown.chars().filter(char::is_ascii).collect();
            prop_assert!(!is_command(&ascii), "{:?} without all that may have no weight", shown);
        }
    }
}
