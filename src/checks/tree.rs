//! A YAML text as a tree, and the line and column of any place in it.
//!
//! Owns the bounds that keep a hostile text harmless: length, depth, number of
//! values with aliases counted each time. Must not know what the keys mean.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A configuration file is a few pages; more than this is a mistake.
pub(super) const LONGEST_TEXT: usize = 1024 * 1024;
/// Values, each alias counted as often as it is used.
const MOST_VALUES: usize = 100_000;
/// Bytes of text in all values, aliases counted likewise.
const MOST_TEXT: usize = 4 * LONGEST_TEXT;
/// Brackets within brackets; the parser's own time grows with their square.
const DEEPEST_FLOW: usize = 100;

/// One value of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A value without parts: what YAML takes it for, and the text as it was written.
    Scalar { value: Value, raw: String },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file; no key occurs twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Whether there is no value (`key:` with nothing behind it, `~`, `null`).
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar { value: Value::Null, .. })
    }

    /// What the value is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar { value: Value::Null, .. } => "nothing",
            Self::Scalar { value: Value::Bool(_), .. } => "true or false",
            Self::Scalar { value: Value::Number(_), .. } => "a number",
            Self::Scalar { .. } => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Scalar { value, .. } => value.clone(),
            Self::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }
}

/// One step from a value to a part of it, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The key of a mapping's entry.
    Key(usize),
    /// The value of a mapping's entry.
    Entry(usize),
    /// An item of a list.
    Item(usize),
}

/// Why a text is no tree, and where: line and column counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
}

/// Reads a text into a tree.
///
/// # Errors
///
/// The text is too long or too deep, no YAML, holds a key twice, or grows without bound through aliases.
pub(super) fn parse(text: &str) -> Result<Node, TreeError> {
    let at_start = |message: String| TreeError { line: 1, column: 1, message };
    if text.len() > LONGEST_TEXT {
        return Err(at_start(format!("the file is {} bytes long, more than 1 MiB", text.len())));
    }
    refuse_deep_flow(text)?;
    let budget = Budget { values: Cell::new(MOST_VALUES), text: Cell::new(MOST_TEXT) };
    let mut node = run(text, Build { budget: &budget }).map_err(|error| describe(&error))?;
    let rewind = Budget { values: Cell::new(MOST_VALUES), text: Cell::new(MOST_TEXT) };
    run(text, KeepSpelling { node: &mut node, budget: &rewind }).map_err(|error| describe(&error))?;
    Ok(node)
}

/// The line and column of a place in a text that [`parse`] has read; of the start if it cannot be told.
pub(super) fn locate(text: &str, steps: &[Step]) -> (usize, usize) {
    match run(text, Locate { steps }) {
        Err(error) => error.location().map_or((1, 1), |place| (place.line(), place.column())),
        Ok(()) => (1, 1),
    }
}

fn run<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> Result<S::Value, serde_yaml::Error> {
    seed.deserialize(serde_yaml::Deserializer::from_str(text))
}

fn describe(error: &serde_yaml::Error) -> TreeError {
    let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
    let text = error.to_string();
    // The library repeats the position at the end of its message.
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    TreeError { line, column, message }
}

/// Counts brackets without regard to quotes: an upper bound of the depth, good enough to refuse only the absurd.
fn refuse_deep_flow(text: &str) -> Result<(), TreeError> {
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate() {
        for (offset, byte) in line.bytes().enumerate() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST_FLOW {
                let message = format!("more than {DEEPEST_FLOW} brackets are open here");
                return Err(TreeError { line: number + 1, column: offset + 1, message });
            }
        }
    }
    Ok(())
}

struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
}

impl Budget {
    fn spend<E: serde::de::Error>(&self, text: usize) -> Result<(), E> {
        match (self.values.get().checked_sub(1), self.text.get().checked_sub(text)) {
            (Some(values), Some(left)) => {
                self.values.set(values);
                self.text.set(left);
                Ok(())
            }
            _ => Err(E::custom("the file holds too many values, each use of an alias counted")),
        }
    }
}

/// Builds the tree.
#[derive(Clone, Copy)]
struct Build<'b> {
    budget: &'b Budget,
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Build<'_> {
    fn scalar<E: serde::de::Error>(self, value: impl Into<Value>) -> Result<Node, E> {
        self.budget.spend(0)?;
        let value = value.into();
        let raw = match &value {
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Ok(Node::Scalar { value, raw })
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, true or false, a list or a mapping without a tag")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.scalar(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        self.scalar(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Node, E> {
        self.scalar(value.to_string())
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Node, E> {
        self.scalar(value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.scalar(number),
            None => self.scalar(value.to_string()),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        self.budget.spend(value.len())?;
        Ok(Node::Scalar { value: Value::String(value.to_owned()), raw: value.to_owned() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.budget.spend(0)?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.budget.spend(0)?;
        let mut entries = Vec::new();
        let mut keys = std::collections::HashSet::new();
        while let Some(key) = map.next_key_seed(NewKey { keys: &keys, budget: self.budget })? {
            keys.insert(key.clone());
            entries.push((key, map.next_value_seed(self)?));
        }
        Ok(Node::Map(entries))
    }
}

/// Reads one key as text and refuses it where it was there before.
struct NewKey<'k> {
    keys: &'k std::collections::HashSet<String>,
    budget: &'k Budget,
}

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        self.budget.spend(key.len())?;
        if self.keys.contains(key) {
            let shown: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(E::custom(format!("the key \"{shown}\" is given twice")));
        }
        Ok(key.to_owned())
    }
}

/// Puts the spelling beside each value that is no text, so that `1.10` stays `1.10` where a text is wanted.
struct KeepSpelling<'n> {
    node: &'n mut Node,
    budget: &'n Budget,
}

impl<'de> DeserializeSeed<'de> for KeepSpelling<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node {
            Node::Scalar { value: Value::String(_) | Value::Null, .. } => {
                deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ())
            }
            Node::Scalar { .. } => deserializer.deserialize_str(self),
            Node::List(_) => deserializer.deserialize_seq(self),
            Node::Map(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for KeepSpelling<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the value that was there before")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.budget.spend(text.len())?;
        if let Node::Scalar { raw, .. } = self.node {
            text.clone_into(raw);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Node::List(items) = self.node else { return Err(A::Error::custom("no list")) };
        for node in items {
            list.next_element_seed(KeepSpelling { node, budget: self.budget })?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Node::Map(entries) = self.node else { return Err(A::Error::custom("no mapping")) };
        for (_, node) in entries {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(KeepSpelling { node, budget: self.budget })?;
        }
        Ok(())
    }
}

/// Walks to a place and fails there: the library then says where that is.
struct Locate<'s> {
    steps: &'s [Step],
}

impl<'de> DeserializeSeed<'de> for Locate<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Locate<'_> {
    type Value = ();

    // Each kind of value that is not walked into fails through the visitor's default, and that is the aim.
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the place looked for")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((Step::Item(position), rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..*position {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Locate { steps: rest })?;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(position) | Step::Entry(position), rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("here"));
        };
        for _ in 0..*position {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if matches!(self.steps.first(), Some(Step::Key(_))) {
            map.next_key_seed(Locate { steps: rest })?;
        } else {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Locate { steps: rest })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_spelling_they_were_written_in() {
        let node = parse("a: 1.10\nb: [0x10, yes, ~, 'x']\n").expect("yaml");
        let Node::Map(entries) = node else { panic!("no mapping") };
        assert!(matches!(&entries[0].1, Node::Scalar { value, raw } if raw == "1.10" && value == 1.1));
        let Node::List(items) = &entries[1].1 else { panic!("no list") };
        assert!(matches!(&items[0], Node::Scalar { value, raw } if raw == "0x10" && value == 16));
        assert!(matches!(&items[1], Node::Scalar { value, .. } if value == "yes"));
        assert!(items[2].is_null());
    }

    #[test]
    fn places_are_found_by_their_steps() {
        let text = "a: 1\nlist:\n  - x: 2\n    y: 3\n  - {z: 4, w: 5}\n";
        assert_eq!(locate(text, &[Step::Key(1)]), (2, 1));
        assert_eq!(locate(text, &[Step::Entry(1), Step::Item(0), Step::Key(1)]), (4, 5));
        assert_eq!(locate(text, &[Step::Entry(1), Step::Item(1), Step::Entry(1)]), (5, 15));
        assert_eq!(locate(text, &[]), (1, 1));
    }

    #[test]
    fn a_key_given_twice_is_refused_where_it_stands() {
        let error = parse("a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!((error.line, error.column), (3, 1));
        assert!(error.message.contains("\"a\" is given twice"), "{}", error.message);
    }

    #[test]
    fn hostile_texts_end_in_an_error_soon() {
        let started = std::time::Instant::now();
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..20 {
            let alias = format!("*a{}", level - 1);
            laughs += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(","));
        }
        let long_text = format!("a: &a {}\nb: [{}]\n", "x".repeat(400_000), "*a,".repeat(100_000));
        let deep_block: String = (0..1000).map(|depth| " ".repeat(depth) + "-\n").collect();
        for text in [
            laughs,
            long_text,
            "a: &a [*a]".to_owned(),
            "[".repeat(900_000),
            "{a: ".repeat(200_000),
            "- ".repeat(500_000),
            deep_block,
            "x".repeat(1024 * 1024 + 1),
            "a: 1\n---\nb: 2\n".to_owned(),
            "a: *nobody".to_owned(),
            "\u{0}".to_owned(),
            "a: !tag b".to_owned(),
            "? [a, b]\n: c".to_owned(),
        ] {
            let start: String = text.chars().take(20).collect();
            assert!(parse(&text).is_err(), "accepted {start}");
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "took {:?}", started.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[-a-c:{}\\[\\],&*!|>'\"#?% \n\t~0-9]{0,80}") {
            if let Ok(node) = parse(&text) {
                let _ = node.to_json();
            }
        }
    }
}
