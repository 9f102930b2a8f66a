//! The environment as a plain value, read once by the command line.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables. Prints their names only: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The trimmed value of a variable; blank counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let exact = self.0.get(name);
        // Windows keeps the spelling of names and compares them without regard to case.
        let found = if cfg!(windows) {
            exact.or_else(|| {
                self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            })
        } else {
            exact
        };
        found.map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
