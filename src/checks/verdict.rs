//! The four verdicts and how they add up.
//!
//! Owns the order Pass < Inconclusive < Error < Fail: "could not measure" is not
//! "measured, bad". Must not know what was measured.

use std::fmt;

/// What one check, or many together, came to. The order is the one they are summed up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Measured, good.
    Pass,
    /// Not measured to its end: there was no time left, or the check itself said so.
    Inconclusive,
    /// Could not be measured: no such name, refused, no answer in time, no such command.
    Error,
    /// Measured, bad.
    Fail,
}

impl Verdict {
    /// The word for reports: `pass`, `inconclusive`, `error`, `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }

    /// Whether this is [`Verdict::Pass`].
    pub fn is_pass(self) -> bool {
        self == Self::Pass
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The worst of many verdicts; of none at all, [`Verdict::Pass`].
pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    verdicts.into_iter().max().unwrap_or(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        prop::sample::select(vec![Verdict::Pass, Verdict::Inconclusive, Verdict::Error, Verdict::Fail])
    }

    #[test]
    fn not_measured_is_better_than_measured_bad_and_worse_than_good() {
        assert!(Verdict::Pass < Verdict::Inconclusive);
        assert!(Verdict::Inconclusive < Verdict::Error);
        assert!(Verdict::Error < Verdict::Fail);
        assert_eq!(worst([]), Verdict::Pass);
    }

    proptest! {
        #[test]
        fn worst_is_associative_commutative_and_idempotent(
            a in any_verdict(), b in any_verdict(), c in any_verdict(),
        ) {
            prop_assert_eq!(worst([worst([a, b]), c]), worst([a, worst([b, c])]));
            prop_assert_eq!(worst([a, b]), worst([b, a]));
            prop_assert_eq!(worst([a, a]), a);
            prop_assert_eq!(worst([a, Verdict::Pass]), a);
        }
    }
}
