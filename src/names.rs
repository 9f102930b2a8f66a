//! Names and identifiers as types, each with a checking constructor.
//!
//! Owns what a well-formed name is. Must not know what is behind a name: whether
//! a site exists is Azure's to say. The only module that the emulator shares with
//! the rest of the program.

use std::fmt;

/// Why a text cannot be the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} \"{text}\" {problem}", text = crate::text::short(.text, 80))]
pub struct NameError {
    kind: &'static str,
    text: String,
    problem: &'static str,
}

/// Most names compare and sort without regard to letter case, as Azure does, and keep
/// the spelling they were given; `$key` says by what a type compares.
macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:expr) => {
        name_type!($(#[$doc])* $type, $kind, $check, |text| text.to_ascii_lowercase());
    };
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:expr, $key:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $type(String);

        impl $type {
            /// Checks the text; surrounding white space is dropped.
            ///
            /// # Errors
            ///
            /// [`NameError`] says which rule the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref().trim();
                let check: fn(&str) -> Option<&'static str> = $check;
                match check(text) {
                    None => Ok(Self(text.to_owned())),
                    Some(problem) => Err(NameError { kind: $kind, text: text.to_owned(), problem }),
                }
            }

            /// The name in the spelling that was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What two of them compare by.
            fn key(&self) -> String {
                let key: fn(&str) -> String = $key;
                key(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:?}", self.0)
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }

        impl Eq for $type {}

        impl std::hash::Hash for $type {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.key().hash(state);
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.key().cmp(&other.key())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

fn letters_digits_hyphens(text: &str, longest: usize) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > longest {
        return Some("is too long");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Some("may hold letters, digits and hyphens only");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Some("must not begin or end with a hyphen");
    }
    None
}

name_type!(
    /// The name of an App Service app: 2 to 60 letters, digits and hyphens.
    SiteName,
    "app name",
    |text| if text.len() == 1 {
        Some("is too short")
    } else {
        letters_digits_hyphens(text, 60)
    }
);

name_type!(
    /// The name of a deployment slot: 1 to 59 letters, digits and hyphens;
    /// "production" in any letter case is the app itself.
    SlotName,
    "slot name",
    |text| letters_digits_hyphens(text, 59)
);

impl SlotName {
    /// The app itself, which Azure calls the production slot.
    pub fn production() -> Self {
        Self("production".to_owned())
    }

    /// Whether this is the app itself.
    pub fn is_production(&self) -> bool {
        self.0.eq_ignore_ascii_case("production")
    }
}

name_type!(
    /// The name of a resource group: 1 to 90 letters, digits, `-`, `_`, `.`, `(`, `)`,
    /// not ending in a full stop.
    ResourceGroup,
    "resource group",
    |text| {
        let allowed = |c: char| c.is_alphanumeric() || "-_.()".contains(c);
        if text.is_empty() {
            Some("is empty")
        } else if text.chars().count() > 90 {
            Some("is too long")
        } else if !text.chars().all(allowed) {
            Some("may hold letters, digits and - _ . ( ) only")
        } else if text.ends_with('.') {
            Some("must not end with a full stop")
        } else {
            None
        }
    }
);

fn guid(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if uuid::Uuid::try_parse(text).is_err() {
        Some("is not a GUID such as 00000000-0000-0000-0000-000000000000")
    } else {
        None
    }
}

name_type!(
    /// The GUID of an Azure subscription.
    SubscriptionId,
    "subscription id",
    guid
);

name_type!(
    /// The client (application) id of a service principal or managed identity.
    ClientId,
    "client id",
    guid
);

name_type!(
    /// The tenant to sign in to: a GUID or a domain name.
    TenantId,
    "tenant id",
    |text| if text.is_empty() {
        Some("is empty")
    } else if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') {
        Some("may hold letters, digits, hyphens and full stops only")
    } else {
        None
    }
);

name_type!(
    /// The identity of one build in a slot: for code the id of Kudu's deployment record,
    /// for a container the image reference in `config/web`.
    ///
    /// Both move with the content at a swap and can be read back from whichever slot
    /// serves the build (Azure/azure-webjobs-sdk issue 586, projectkudu/kudu issue 2117;
    /// kudu-deploy §12). Ids of records compare without regard to letter case; in an image
    /// reference the tag's letter case counts (OCI distribution specification, "Pulling manifests").
    ReleaseId,
    "release id",
    |text| {
        if text.is_empty() {
            Some("is empty")
        } else if is_reference(text) {
            image_reference(text)
        } else if text.len() > 128 {
            Some("is too long")
        } else if !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            Some("may hold letters, digits and - _ . only, unless it is an image reference")
        } else {
            None
        }
    },
    |text| if is_reference(text) { text.to_owned() } else { text.to_ascii_lowercase() }
);

/// Whether a text has what only an image reference has: a path, a tag or a digest.
fn is_reference(text: &str) -> bool {
    text.contains(['/', ':', '@'])
}

fn image_reference(text: &str) -> Option<&'static str> {
    // A host of up to 255 characters, a path of as many, a digest.
    if text.len() > 600 {
        return Some("is too long");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@".contains(c)) {
        return Some("may hold letters, digits and - _ . : / @ only");
    }
    let begins_well = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !text.split(['/', ':', '@']).all(begins_well) {
        return Some("is no image reference such as registry/app:1.2 or registry/app@sha256:…");
    }
    None
}

impl ReleaseId {
    /// An image reference as the input `images` gives it.
    ///
    /// # Errors
    ///
    /// [`NameError`] says which rule the text breaks.
    pub fn image(text: impl AsRef<str>) -> Result<Self, NameError> {
        Self::new(text).map_err(|error| NameError { kind: "image", ..error })
    }

    /// Whether it can only be an image: it has a path, a tag or a digest.
    pub fn is_image(&self) -> bool {
        is_reference(&self.0)
    }

    /// Whether an image of this reference may be another one tomorrow: nothing pins it,
    /// or only the tag that everybody moves.
    pub fn is_moving(&self) -> bool {
        if self.0.contains('@') {
            return false;
        }
        let last = self.0.rsplit('/').next().unwrap_or_default();
        last.split_once(':').is_none_or(|(_, tag)| tag.eq_ignore_ascii_case("latest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_keep_their_spelling() {
        let name = SiteName::new(" Contoso-Web ").expect("well formed");
        assert_eq!(name, SiteName::new("contoso-web").expect("well formed"));
        assert_eq!(name.as_str(), "Contoso-Web");
    }

    #[test]
    fn a_malformed_name_says_which_rule_it_breaks() {
        let error = SiteName::new("a_b").expect_err("underscore");
        assert_eq!(error.to_string(), "app name \"a_b\" may hold letters, digits and hyphens only");
        assert!(SlotName::new("").is_err());
        assert!(SlotName::new("-x").is_err());
        assert!(ResourceGroup::new("group.").is_err());
        assert!(SubscriptionId::new("not-a-guid").is_err());
        assert!(ReleaseId::new("../x").is_err());
    }

    #[test]
    fn an_overlong_name_is_cut_in_the_message_and_loses_control_characters() {
        let error = SiteName::new(format!("a\n\u{1b}[31m{}", "b".repeat(500))).expect_err("long");
        assert!(error.to_string().len() < 200);
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn an_image_is_a_release_id_whose_letter_case_counts() {
        let id = |text: &str| ReleaseId::new(text).expect("well formed");
        assert_eq!(id("ABC-1"), id("abc-1"));
        assert_ne!(id("registry.io/app:V1"), id("registry.io/app:v1"));
        assert!(id("app:1").is_image() && !id("abc-1").is_image());
        assert_eq!(id("localhost:5000/team/app@sha256:0a").as_str(), "localhost:5000/team/app@sha256:0a");
        for wrong in ["a//b", "a/../b", "app:", ":1", "a b:1", "app:1;ls", "https://registry/app:1"] {
            assert!(ReleaseId::new(wrong).is_err(), "{wrong}");
        }
        assert!(ReleaseId::image("a b").expect_err("a space").to_string().starts_with("image \"a b\""));
    }

    #[test]
    fn a_reference_without_a_tag_of_its_own_moves() {
        let moves = |text: &str| ReleaseId::image(text).expect("well formed").is_moving();
        assert!(moves("app") && moves("host:5000/app") && moves("app:latest"));
        assert!(!moves("app:1") && !moves("host:5000/app:1") && !moves("app@sha256:0a"));
    }

    #[test]
    fn production_is_known_in_any_case() {
        assert!(SlotName::new("PRODUCTION").expect("well formed").is_production());
        assert!(!SlotName::new("staging").expect("well formed").is_production());
    }
}
