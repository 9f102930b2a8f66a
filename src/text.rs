//! Foreign text made harmless: the one sanitiser for everything that comes from
//! outside and is shown.
//!
//! Owns what a log line may hold. Nothing it lets through is a command for a
//! pipeline's runner (`::x::`, `##[x]`, `##vso[x]`; github-actions §3,
//! azure-pipelines §5.3) or for a terminal, and the text stays readable.

/// The longest line that is shown.
const LONGEST_LINE: usize = 2000;

/// One line: control characters gone, runner commands broken apart by a space.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let width = character.len_utf8();
        if character == '\u{1b}' {
            rest = after_escape(rest);
            continue;
        }
        let hidden = is_hidden(character);
        match character {
            '\t' | '\n' | '\r' => out.push(' '),
            _ if hidden => {}
            _ => push_unless_command(&mut out, character),
        }
        rest = &rest[width..];
        if out.len() >= LONGEST_LINE {
            out.push('…');
            break;
        }
    }
    out
}

/// Several lines, each made harmless.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(line).collect()
}

/// One line of at most so many characters, to be kept and compared: white space becomes one
/// space, control and hidden characters are gone. Its words stay as they are, commands too:
/// it passes [`line`] when it is shown.
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
fn push_unless_command(out: &mut String, character: char) {
    let opens = match character {
        '[' => ends_like_command(out),
        ':' => out.ends_with(':'),
        'v' | 'V' => out.ends_with("##"),
        _ => false,
    };
    if opens {
        out.push(' ');
    }
    out.push(character);
}

fn ends_like_command(out: &str) -> bool {
    let lower = out.to_ascii_lowercase();
    lower.ends_with("##") || lower.ends_with("##vso")
}

/// Control, format and other invisible characters, which could hide a command from
/// a reader or splice one together.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// What follows a terminal escape sequence: CSI up to its final byte, OSC up to its
/// end, anything else two characters.
fn after_escape(text: &str) -> &str {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '[')) => characters
            .find(|(_, character)| ('\u{40}'..='\u{7e}').contains(character))
            .map_or("", |(at, character)| &text[at + character.len_utf8()..]),
        Some((_, ']')) => characters
            .find(|(_, character)| matches!(character, '\u{7}' | '\u{1b}'))
            .map_or("", |(at, character)| if character == '\u{7}' { &text[at + 1..] } else { &text[at..] }),
        Some((at, character)) => &text[at + character.len_utf8()..],
        None => "",
    }
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
            prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn pieces_of_commands_never_join(parts in prop::collection::vec(
            prop::sample::select(vec!["#", "##", "[", "vso[", "V", "SO", ":", "::", "\u{200b}", "\r", "\n", "\0", "\u{1b}", "\u{1b}[", "m", "]", " "]), 0..20,
        )) {
            let shown = line(&parts.concat());
            prop_assert!(!is_command(&shown), "{:?}", shown);
        }
    }
}
