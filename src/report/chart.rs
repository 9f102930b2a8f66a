//! The watch over production as a small chart of text, because both hosts show text.

use super::words::{duration, milliseconds};
use crate::checks::watch::{PhaseReport, Sample, WatchReport};

/// Columns of all bars together.
const WIDTH: usize = 72;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Latency over time as a line of bars under the names of the phases, `✗` for a lost
/// request, and what the scale is. Nothing where nothing was measured.
pub(super) fn chart(watch: &WatchReport) -> Vec<String> {
    if watch.samples.is_empty() {
        return Vec::new();
    }
    let slowest = watch.samples.iter().filter_map(|sample| sample.latency_ms).max().unwrap_or(0);
    let per_bar = watch.samples.len().div_ceil(WIDTH);
    let bars: Vec<char> = watch.samples.chunks(per_bar).map(|samples| bar(samples, slowest)).collect();
    let (mut names, mut line) = (String::new(), String::new());
    for (name, part) in parts(watch, &bars) {
        let width = part.len().max(name.chars().count());
        if !line.is_empty() {
            names.push_str(" │ ");
            line.push_str(" │ ");
        }
        names.push_str(&format!("{name:<width$}"));
        line.push_str(&format!("{:<width$}", part.iter().collect::<String>()));
    }
    let gap = if watch.lost() == 0 {
        "gap      none".to_owned()
    } else {
        format!("gap      {} at the longest", milliseconds(watch.longest_gap))
    };
    vec![
        format!("         {}", names.trim_end()),
        format!("latency  {}", line.trim_end()),
        gap,
        format!(
            "scale    {} from left to right; a full bar is {slowest} ms; ✗ is a lost request",
            duration(watch.elapsed)
        ),
    ]
}

fn bar(samples: &[Sample], slowest: u64) -> char {
    if samples.iter().any(|sample| sample.latency_ms.is_none()) {
        return '✗';
    }
    let worst = samples.iter().filter_map(|sample| sample.latency_ms).max().unwrap_or(0);
    let step = (worst * 7).div_ceil(slowest.max(1));
    BARS[usize::try_from(step).unwrap_or(7).min(7)]
}

/// The bars of each phase that saw requests; samples stand in the order of sending.
fn parts<'a>(watch: &WatchReport, bars: &'a [char]) -> Vec<(&'static str, &'a [char])> {
    let phases: [(&'static str, &PhaseReport); 3] =
        [("before", &watch.before), ("swap", &watch.during), ("after", &watch.after)];
    let all = watch.requests().max(1);
    let (mut sent, mut from) = (0, 0);
    let mut parts = Vec::new();
    for (name, phase) in phases {
        sent += phase.requests;
        let share = (bars.len() as u64 * sent).div_ceil(all);
        let to = usize::try_from(share).unwrap_or(bars.len()).clamp(from, bars.len());
        if phase.requests > 0 {
            parts.push((name, &bars[from..to]));
        }
        from = to;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(requests: u64, lost: u64) -> PhaseReport {
        PhaseReport { requests, lost, ..PhaseReport::default() }
    }

    #[test]
    fn a_lost_request_shows_in_its_phase() {
        let sample = |latency_ms| Sample { offset_ms: 0, latency_ms };
        let watch = WatchReport {
            before: phase(2, 0),
            during: phase(2, 1),
            samples: vec![sample(Some(1)), sample(Some(1)), sample(None), sample(Some(8))],
            longest_gap: std::time::Duration::from_millis(250),
            elapsed: std::time::Duration::from_secs(4),
            ..WatchReport::default()
        };
        assert_eq!(
            chart(&watch),
            [
                "         before │ swap",
                "latency  ▂▂     │ ✗█",
                "gap      250 ms at the longest",
                "scale    4.0 s from left to right; a full bar is 8 ms; ✗ is a lost request",
            ]
        );
        assert_eq!(chart(&WatchReport::default()), Vec::<String>::new());
    }

    #[test]
    fn any_number_of_samples_fits() {
        for count in [1_u64, 71, 72, 73, 600] {
            let samples = (0..count).map(|offset_ms| Sample { offset_ms, latency_ms: Some(0) }).collect();
            let watch = WatchReport {
                before: phase(count / 2, 0),
                during: phase(count - count / 2, 0),
                samples,
                ..WatchReport::default()
            };
            let bars = chart(&watch)[1].chars().filter(|character| BARS.contains(character)).count();
            assert!(bars <= WIDTH && bars as u64 >= count.min(37), "{count}: {bars}");
        }
    }
}
