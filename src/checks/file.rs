//! Reads `slotway.yml`.

use std::collections::BTreeMap;
use std::fmt;

use super::spec::{Check, Limits, Soak, Watch};

/// What `slotway.yml` says.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// Step inputs given in the file, by their names, as text.
    pub inputs: BTreeMap<String, String>,
    /// The checks in the order of the file.
    pub checks: Vec<Check>,
    /// How production is watched around the swap.
    pub watch: Watch,
    /// How long production has to keep passing.
    pub production: Soak,
    /// How long each stage may take.
    pub limits: Limits,
}

/// One thing that is wrong with the file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file, as the caller called it.
    pub source_name: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// The key path, such as `checks[0].expect.status`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: ", self.source_name, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ConfigProblem {}

/// Reads the text of a configuration file.
///
/// # Errors
///
/// All problems that could be found, in the order of the file.
pub fn read(text: &str, source_name: &str, known_inputs: &[&str]) -> Result<ConfigFile, Vec<ConfigProblem>> {
    let _ = (text, source_name, known_inputs);
    unimplemented!("written next")
}
