//! Judges an answer by what is expected of it.

/// A foreign text as one harmless line of at most `longest` characters: control characters become spaces.
pub fn printable(text: &str, longest: usize) -> String {
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = clean.clone().take(longest).collect();
    if clean.count() > longest {
        line = line.chars().take(longest.saturating_sub(3)).collect();
        line.push_str("...");
    }
    line
}
