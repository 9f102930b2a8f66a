//! What moves and what stays at a swap, in plain words. Names only.

use super::words::count;
use crate::plan::movement::{Effect, Kind, Movement};

/// The lines of `plan` about settings.
pub fn lines(movements: &[Movement]) -> Vec<String> {
    let mut lines = vec![
        "moves to production with the build: stack and its version, app settings and connection strings that are \
         no slot settings, storage mounts, handler and path mappings, WebJobs"
            .to_owned(),
        "stays where it is: slot settings, custom domains, TLS, scaling, Always On, IP restrictions, CORS, network \
         integration, managed identities, diagnostic settings"
            .to_owned(),
    ];
    let changing: Vec<&Movement> =
        movements.iter().filter(|movement| movement.effect <= Effect::Disappears).collect();
    if changing.is_empty() {
        lines.push("no setting of production changes because of the swap".to_owned());
    } else {
        lines.push(format!(
            "{} of production would change because of the swap:",
            count(changing.len() as u64, "setting")
        ));
        lines.extend(
            changing.iter().map(|movement| format!("  {}: {}", named(movement), effect(movement.effect))),
        );
    }
    let one_sided =
        |movement: &&Movement| matches!(movement.effect, Effect::OnlyInProduction | Effect::OnlyInSlot);
    for movement in movements.iter().filter(one_sided) {
        lines.push(format!("warning: {} {}", named(movement), effect(movement.effect)));
    }
    for (words, wanted) in
        [("stay with their slot", Effect::Stays), ("move, the same on both sides", Effect::MovesUnchanged)]
    {
        let names: Vec<String> =
            movements.iter().filter(|movement| movement.effect == wanted).map(named).collect();
        if !names.is_empty() {
            lines.push(format!("{words}: {}", names.join(", ")));
        }
    }
    lines
}

fn named(movement: &Movement) -> String {
    let kind = match movement.kind {
        Kind::AppSetting => "app setting",
        Kind::ConnectionString => "connection string",
        Kind::General => "general setting",
    };
    format!("{kind} {}", movement.name)
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Changes => "gets the slot's value",
        Effect::Appears => "is new for production",
        Effect::Disappears => "goes to the slot; production runs without it",
        Effect::MovesUnchanged => "moves",
        Effect::Stays => "stays",
        Effect::OnlyInProduction => {
            "is a slot setting that only production has: the slot is checked without it"
        }
        Effect::OnlyInSlot => "is a slot setting that only the slot has: production runs without it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_comes_first_and_what_is_one_sided_is_a_warning() {
        let movement = |effect, kind, name: &str| Movement { effect, kind, name: name.to_owned() };
        let lines = lines(&[
            movement(Effect::Changes, Kind::AppSetting, "GREETING"),
            movement(Effect::Disappears, Kind::ConnectionString, "Main"),
            movement(Effect::MovesUnchanged, Kind::AppSetting, "A"),
            movement(Effect::MovesUnchanged, Kind::AppSetting, "B"),
            movement(Effect::OnlyInSlot, Kind::AppSetting, "DEBUG"),
        ]);
        assert_eq!(
            lines[2..],
            [
                "2 settings of production would change because of the swap:",
                "  app setting GREETING: gets the slot's value",
                "  connection string Main: goes to the slot; production runs without it",
                "warning: app setting DEBUG is a slot setting that only the slot has: production runs without it",
                "move, the same on both sides: app setting A, app setting B",
            ]
        );
    }
}
