//! Foreign text in Markdown: what it says is shown, what it orders is not done.
//!
//! Owns the escaping for GitHub-flavoured Markdown and the limits of length.

use crate::text;

/// Longer texts are cut in a cell or a sentence.
const LONGEST: usize = 400;
/// Longer lines are cut in a block of preformatted text.
const LONGEST_LINE: usize = 300;

/// One line that is safe in a table's cell and in a sentence, with no markup of its own.
pub(super) fn plain(foreign: &str) -> String {
    shortened(foreign, LONGEST)
}

/// As [`plain`], for advice that must be shown as a whole.
pub(super) fn whole(foreign: &str) -> String {
    shortened(foreign, usize::MAX)
}

fn shortened(foreign: &str, longest: usize) -> String {
    let line = text::lines(foreign).join(" ⏎ ");
    let mut out = String::with_capacity(line.len());
    let mut characters = line.chars().enumerate().peekable();
    while let Some((position, character)) = characters.next() {
        if position >= longest {
            out.push('…');
            break;
        }
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A comment must not call people: a mark of no width keeps the name from being one.
            '@' => out.push_str("@\u{200b}"),
            // Nor may it turn up in other people's issues.
            '#' if characters.peek().is_some_and(|(_, next)| next.is_ascii_digit()) => {
                out.push_str("\\#\u{200b}");
            }
            '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '|' | '!' | '#' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

/// A short text in a code span.
pub(super) fn code(foreign: &str) -> String {
    let line: String = text::line(foreign).chars().take(LONGEST).collect();
    // No escape is read inside of a span but the table's own.
    format!("`{}`", line.replace('`', "'").replace('|', "\\|"))
}

/// A link with words of ours to an address that was read.
pub(super) fn link(words: &str, address: &str) -> String {
    let unsafe_in_links = |character: char| {
        matches!(character, '(' | ')' | '<' | '>' | '|' | '\\' | '"') || character.is_whitespace()
    };
    let mut out = String::new();
    for character in text::line(address).chars() {
        if unsafe_in_links(character) {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(character);
        }
    }
    format!("[{words}]({out})")
}

/// Lines as they are, in a block that nothing in them can end.
pub(super) fn block<'a>(foreign: impl IntoIterator<Item = &'a str>) -> String {
    let lines: Vec<String> = foreign
        .into_iter()
        .map(|line| text::line(line).chars().take(LONGEST_LINE).collect::<String>())
        .collect();
    let longest_run =
        lines.iter().flat_map(|line| line.split(|character| character != '`')).map(str::len).max();
    let fence = "`".repeat(longest_run.unwrap_or(0).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

/// The text, cut after a whole line where it is longer than so many bytes.
pub fn cut(text: String, most_bytes: usize) -> String {
    const NOTE: &str = "\n\n*Cut here; the report has the rest.*\n";
    if text.len() <= most_bytes {
        return text;
    }
    let room = most_bytes.saturating_sub(NOTE.len() + "\n```".len());
    let end = text.bytes().take(room).rposition(|byte| byte == b'\n').unwrap_or(0);
    let kept = &text[..end];
    let is_fence = |line: &&str| line.starts_with("```");
    let open = kept.lines().filter(is_fence).count() % 2 == 1;
    format!("{kept}{}{NOTE}", if open { "\n```" } else { "" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_has_no_markup_and_calls_nobody() {
        assert_eq!(
            plain("a|b <img src=x> ![x](y) **b** @ada\n##[error]z"),
            "a\\|b &lt;img src=x&gt; \\!\\[x\\](y) \\*\\*b\\*\\* @\u{200b}ada ⏎ \\#\\# \\[error\\]z"
        );
        assert_eq!(plain("C# org/repo#12"), "C\\# org/repo\\#\u{200b}12");
        assert_eq!(code("a`b|c"), "`a'b\\|c`");
        assert_eq!(link("page", "https://h/a b)(c"), "[page](https://h/a%20b%29%28c)");
    }

    #[test]
    fn no_line_ends_its_own_block() {
        let block = block(["```", "````text", "x"]);
        assert!(block.starts_with("`````text\n") && block.ends_with("\n`````\n"), "{block}");
    }

    proptest! {
        #[test]
        fn a_cut_text_keeps_its_limit_and_closes_its_blocks(lines in prop::collection::vec("(```|[a-zä]{0,40})", 0..60), limit in 100usize..600) {
            let text = cut(lines.join("\n"), limit);
            prop_assert!(text.len() <= limit);
            let whole = lines.iter().filter(|line| line.starts_with("```")).count() % 2 == 0;
            let fences = text.lines().filter(|line| line.starts_with("```")).count();
            prop_assert!(!whole || fences % 2 == 0, "{}", text);
        }

        #[test]
        fn what_is_escaped_holds_no_bare_markup(text in ".{0,80}") {
            let shown = plain(&text);
            prop_assert!(!shown.contains(['<', '>', '\n']));
            let bare = shown.replace("\\\\", "").replace("\\|", "").replace("\\[", "").replace("\\`", "");
            prop_assert!(!bare.contains(['|', '[', '`']), "{}", shown);
        }
    }
}
