//! Each setting goes its way.

use super::*;
use crate::facts::{SlotSettingNames, SlotSettings};
use crate::secret::Secret;

fn values(pairs: &[(&str, &str)]) -> SettingValues {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
}

fn settings(production: &[(&str, &str)], slot: &[(&str, &str)], sticky: &[&str]) -> Settings {
    let side = |pairs| SlotSettings { app_settings: values(pairs), ..SlotSettings::default() };
    Settings {
        production: side(production),
        slot: side(slot),
        names: SlotSettingNames {
            app_setting_names: Some(sticky.iter().map(|name| (*name).to_owned()).collect()),
            ..SlotSettingNames::default()
        },
    }
}

fn told(settings: &Settings) -> Vec<(Effect, String)> {
    movements(settings).into_iter().map(|movement| (movement.effect, movement.name)).collect()
}

#[test]
fn each_setting_goes_its_way() {
    let found = told(&settings(
        &[("A", "1"), ("GONE", "x"), ("SAME", "s"), ("PAY", "live"), ("KEY", "k")],
        &[("A", "2"), ("NEW", "n"), ("SAME", "s"), ("PAY", "test"), ("DEBUG", "1")],
        &["pay", "KEY", "DEBUG"],
    ));
    let expected = [
        (Effect::Changes, "A"),
        (Effect::Appears, "NEW"),
        (Effect::Disappears, "GONE"),
        (Effect::MovesUnchanged, "SAME"),
        (Effect::Stays, "PAY"),
        (Effect::OnlyInProduction, "KEY"),
        (Effect::OnlyInSlot, "DEBUG"),
    ];
    assert_eq!(found, expected.map(|(effect, name)| (effect, name.to_owned())));
}

#[test]
fn extension_versions_stay_unless_both_slots_say_otherwise() {
    let version = ("FUNCTIONS_EXTENSION_VERSION", "~4");
    let switch = ("WEBSITE_OVERRIDE_STICKY_EXTENSION_VERSIONS", "0");
    let both = settings(&[version, switch], &[version, switch], &[]);
    let one = settings(&[version, switch], &[version], &[]);
    let effect = |settings: &Settings| {
        told(settings).into_iter().find(|(_, name)| name == version.0).expect("it is told").0
    };
    assert_eq!((effect(&both), effect(&one)), (Effect::MovesUnchanged, Effect::Stays));
}

#[test]
fn of_general_settings_only_what_differs_is_told() {
    let mut settings = settings(&[], &[], &[]);
    settings.production.general =
        values(&[("linuxFxVersion", "NODE|20-lts"), ("alwaysOn", "true"), ("phpVersion", "null")]);
    settings.slot.general =
        values(&[("linuxFxVersion", "NODE|22-lts"), ("alwaysOn", "false"), ("phpVersion", "")]);
    let found = told(&settings);
    assert_eq!(
        found,
        [(Effect::Changes, "linuxFxVersion".to_owned()), (Effect::Stays, "alwaysOn".to_owned())]
    );
}
