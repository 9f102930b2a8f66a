//! Identifiers and secrets of the world, made from its seed.
//!
//! Owns the one source of chance. The same seed gives the same names, so a run can be
//! repeated. Must not be used for anything that protects more than this machine.

use uuid::Uuid;

/// A stream of numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Ids {
    state: u64,
}

impl Ids {
    /// Begins a stream.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// So many hex digits, lower case.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(digits);
        text
    }

    /// A GUID.
    pub fn guid(&mut self) -> String {
        let high = u128::from(self.next()) << 64;
        let bytes = (high | u128::from(self.next())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A GUID without hyphens, as Kudu's ids are on Windows.
    pub fn plain_guid(&mut self) -> String {
        Uuid::try_parse(&self.guid()).map(|guid| guid.simple().to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_names_and_no_name_twice() {
        let (mut one, mut other) = (Ids::new(7), Ids::new(7));
        let names: Vec<String> = (0..100).map(|_| one.guid()).collect();
        assert_eq!(names, (0..100).map(|_| other.guid()).collect::<Vec<_>>());
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 100);
        assert_eq!(one.hex(64).len(), 64);
        assert_eq!(one.plain_guid().len(), 32);
    }
}
