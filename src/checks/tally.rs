//! Adds up what the watch sees.
//!
//! Pure: times come in as arguments. Owns what counts as lost and what a gap is;
//! its memory does not grow with the number of requests.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Where in the release a request of the watch falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchPhase {
    /// Before the swap.
    Before,
    /// While the swap runs.
    During,
    /// After the swap.
    After,
}

/// What the watch saw in one phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseReport {
    /// Requests sent.
    pub requests: u64,
    /// Requests lost: those without an answer and those answered with 500 or above.
    pub lost: u64,
    /// Lost because there was no answer.
    pub no_answer: u64,
    /// Lost because the answer was 500 or above.
    pub server_errors: u64,
    /// The latency that half of the good answers kept below.
    pub latency_p50: Option<Duration>,
    /// The latency that 95 of 100 good answers kept below.
    pub latency_p95: Option<Duration>,
    /// The slowest good answer.
    pub latency_max: Option<Duration>,
}

/// One point of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was sent, from the start of the watch.
    pub offset_ms: u64,
    /// How long the answer took; none: lost.
    pub latency_ms: Option<u64>,
}

/// What the watch saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// Before the swap.
    pub before: PhaseReport,
    /// While it ran.
    pub during: PhaseReport,
    /// After it.
    pub after: PhaseReport,
    /// The longest time between two good answers that encloses a lost request; zero when none was lost.
    pub longest_gap: Duration,
    /// Requests that were due and not sent because too many were still without an answer.
    pub skipped: u64,
    /// What the first lost request met.
    pub first_loss: Option<String>,
    /// How long the watch lasted.
    pub elapsed: Duration,
    /// Points for a small chart, at most about 600.
    pub samples: Vec<Sample>,
}

impl WatchReport {
    /// Requests of all phases.
    pub fn requests(&self) -> u64 {
        self.before.requests + self.during.requests + self.after.requests
    }

    /// Lost requests of all phases.
    pub fn lost(&self) -> u64 {
        self.before.lost + self.during.lost + self.after.lost
    }

    fn phase_mut(&mut self, phase: WatchPhase) -> &mut PhaseReport {
        match phase {
            WatchPhase::Before => &mut self.before,
            WatchPhase::During => &mut self.during,
            WatchPhase::After => &mut self.after,
        }
    }
}

/// The chart gets at most this many points.
const MOST_SAMPLES: usize = 600;

/// One request of the watch.
#[derive(Debug)]
struct Record {
    sent: Instant,
    phase: WatchPhase,
    end: Option<End>,
}

/// When a request came to its end and how: the status, or why there is none.
#[derive(Debug)]
struct End {
    at: Instant,
    outcome: Result<u16, String>,
}

/// Adds requests up in the order in which they were sent.
#[derive(Debug)]
pub(super) struct Tally {
    started: Instant,
    report: WatchReport,
    /// Requests not yet added up; the first of them has the number `first`.
    open: VecDeque<Record>,
    first: u64,
    last_good: Instant,
    lost_since: bool,
    latencies: HashMap<WatchPhase, Latencies>,
    /// One point of the chart stands for this many requests.
    thinning: u64,
    in_last_sample: u64,
}

impl Tally {
    /// A watch that begins now.
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            report: WatchReport::default(),
            open: VecDeque::new(),
            first: 0,
            last_good: started,
            lost_since: false,
            latencies: HashMap::new(),
            thinning: 1,
            in_last_sample: 0,
        }
    }

    /// Notes that a request goes out; its number.
    pub(super) fn sent(&mut self, phase: WatchPhase, sent: Instant) -> u64 {
        self.open.push_back(Record { sent, phase, end: None });
        self.first + self.open.len() as u64 - 1
    }

    /// Notes that a request was due and was not sent.
    pub(super) fn skipped(&mut self) {
        self.report.skipped += 1;
    }

    /// Notes how a request ended.
    pub(super) fn answered(&mut self, number: u64, at: Instant, outcome: Result<u16, String>) {
        let position = number.checked_sub(self.first).and_then(|position| usize::try_from(position).ok());
        if let Some(record) = position.and_then(|position| self.open.get_mut(position)) {
            record.end = Some(End { at, outcome });
        }
        while self.open.front().is_some_and(|record| record.end.is_some()) {
            if let Some(Record { sent, phase, end: Some(end) }) = self.open.pop_front() {
                self.first += 1;
                self.add(sent, phase, end);
            }
        }
    }

    /// Ends the watch. Requests without an end are not counted: nothing is known of them.
    pub(super) fn finish(mut self, now: Instant) -> WatchReport {
        self.close_gap(now);
        self.report.elapsed = now.duration_since(self.started);
        for (phase, latencies) in &self.latencies {
            let counts = self.report.phase_mut(*phase);
            counts.latency_p50 = Some(latencies.quantile(50));
            counts.latency_p95 = Some(latencies.quantile(95));
            counts.latency_max = Some(latencies.max);
        }
        self.report
    }

    fn add(&mut self, sent: Instant, phase: WatchPhase, end: End) {
        let latency = end.at.duration_since(sent);
        let counts = self.report.phase_mut(phase);
        counts.requests += 1;
        let loss = match end.outcome {
            Ok(status) if status < 500 => None,
            Ok(status) => {
                counts.server_errors += 1;
                Some(format!("status {status}"))
            }
            Err(reason) => {
                counts.no_answer += 1;
                Some(reason)
            }
        };
        counts.lost += u64::from(loss.is_some());
        let latency_ms = loss.is_none().then(|| milliseconds(latency));
        self.sample(Sample { offset_ms: milliseconds(sent.duration_since(self.started)), latency_ms });
        match loss {
            Some(reason) => {
                self.report.first_loss.get_or_insert(reason);
                self.lost_since = true;
            }
            None => {
                self.latencies.entry(phase).or_default().add(latency);
                self.close_gap(end.at);
                self.last_good = self.last_good.max(end.at);
            }
        }
    }

    /// A loss opens a gap that reaches from the last good answer before it to the first one after it.
    fn close_gap(&mut self, until: Instant) {
        if std::mem::take(&mut self.lost_since) {
            let gap = until.saturating_duration_since(self.last_good);
            self.report.longest_gap = self.report.longest_gap.max(gap);
        }
    }

    /// Adds a point; where there are too many, two become one.
    fn sample(&mut self, sample: Sample) {
        let samples = &mut self.report.samples;
        match samples.last_mut() {
            Some(last) if self.in_last_sample < self.thinning => *last = worse(*last, sample),
            _ => {
                samples.push(sample);
                self.in_last_sample = 0;
            }
        }
        self.in_last_sample += 1;
        if samples.len() > MOST_SAMPLES {
            *samples = samples.chunks(2).filter_map(|pair| pair.iter().copied().reduce(worse)).collect();
            self.thinning *= 2;
        }
    }
}

/// Two points as one, at the time of the first: lost if one of them is, else the slower one.
fn worse(a: Sample, b: Sample) -> Sample {
    Sample { offset_ms: a.offset_ms, latency_ms: a.latency_ms.zip(b.latency_ms).map(|(a, b)| a.max(b)) }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How many answers took how long, in buckets that are 3 % wide.
#[derive(Debug, Default)]
struct Latencies {
    buckets: Vec<u32>,
    count: u64,
    max: Duration,
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        let bucket = bucket_of(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// The latency that so many of 100 answers kept to, at most 3 % too high.
    fn quantile(&self, percent: u64) -> Duration {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Duration::from_micros(upper_end(bucket)).min(self.max);
            }
        }
        self.max
    }
}

/// Up to 63 each value has a bucket; from there on each doubling has 32.
fn bucket_of(value: u64) -> usize {
    if value < 64 {
        return value as usize;
    }
    let shift = 63 - u64::from(value.leading_zeros()) - 5;
    (shift * 32 + (value >> shift)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 64 {
        return bucket;
    }
    let shift = bucket / 32 - 1;
    (((bucket - shift * 32 + 1) << shift) - 1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a request every 100 ms; each ends after the given time with the given status, 0 being no answer.
    fn watched(requests: &[(u64, u16)]) -> WatchReport {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let mut ends = Vec::new();
        for (position, (took, status)) in requests.iter().enumerate() {
            let sent = start + Duration::from_millis(100 * position as u64);
            let number = tally.sent(WatchPhase::Before, sent);
            ends.push((sent + Duration::from_millis(*took), number, *status));
        }
        ends.sort();
        let last = ends.last().map_or(start, |end| end.0);
        for (at, number, status) in ends {
            tally.answered(number, at, if status == 0 { Err("refused".to_owned()) } else { Ok(status) });
        }
        tally.finish(last)
    }

    #[test]
    fn nothing_lost_is_no_gap() {
        let report = watched(&[(10, 200), (20, 404), (400, 302), (10, 200)]);
        assert_eq!((report.requests(), report.lost(), report.longest_gap), (4, 0, Duration::ZERO));
        assert_eq!(report.before.latency_max, Some(Duration::from_millis(400)));
        assert_eq!(report.first_loss, None);
    }

    #[test]
    fn a_gap_reaches_from_the_good_answer_before_to_the_one_after() {
        let report = watched(&[(10, 200), (5, 503), (5000, 0), (30, 200), (10, 200)]);
        assert_eq!((report.before.server_errors, report.before.no_answer, report.lost()), (1, 1, 2));
        assert_eq!(report.longest_gap, Duration::from_millis(330 - 10));
        assert_eq!(report.first_loss.as_deref(), Some("status 503"));
    }

    #[test]
    fn losses_at_both_ends_count_from_and_to_the_ends_of_the_watch() {
        assert_eq!(watched(&[(5, 500), (5, 500), (50, 200)]).longest_gap, Duration::from_millis(250));
        assert_eq!(watched(&[(10, 200), (5, 0), (5, 0)]).longest_gap, Duration::from_millis(205 - 10));
        assert_eq!(watched(&[(5, 0)]).longest_gap, Duration::from_millis(5));
        assert_eq!(watched(&[]), WatchReport { elapsed: Duration::ZERO, ..WatchReport::default() });
    }

    #[test]
    fn requests_count_for_the_phase_they_were_sent_in() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let before = tally.sent(WatchPhase::Before, start);
        let during = tally.sent(WatchPhase::During, start);
        tally.answered(during, start + Duration::from_millis(1), Ok(200));
        tally.answered(before, start + Duration::from_millis(9), Err("reset".to_owned()));
        tally.answered(before, start, Ok(200));
        tally.answered(77, start, Ok(200));
        let report = tally.finish(start + Duration::from_millis(9));
        assert_eq!((report.before.lost, report.during.requests, report.during.lost), (1, 1, 0));
        assert_eq!(report.requests(), 2);
    }

    #[test]
    fn a_long_watch_is_thinned_and_loses_no_loss() {
        let mut requests = vec![(10, 200); 10_000];
        requests[7_777] = (5, 0);
        let report = watched(&requests);
        assert!(
            (MOST_SAMPLES / 2..=MOST_SAMPLES).contains(&report.samples.len()),
            "{}",
            report.samples.len()
        );
        assert_eq!(report.samples.iter().filter(|sample| sample.latency_ms.is_none()).count(), 1);
        assert!(report.samples.is_sorted_by_key(|sample| sample.offset_ms));
        assert_eq!(report.requests(), 10_000);
    }

    proptest::proptest! {
        #[test]
        fn quantiles_are_near_the_true_ones(mut times in proptest::collection::vec(0_u64..10_000_000, 1..200)) {
            let mut latencies = Latencies::default();
            for time in &times {
                latencies.add(Duration::from_micros(*time));
            }
            times.sort_unstable();
            for percent in [50, 95] {
                let exact = times[(times.len() * percent).div_ceil(100) - 1];
                let told = u64::try_from(latencies.quantile(percent as u64).as_micros()).expect("small");
                proptest::prop_assert!(told >= exact && told <= exact + exact / 31 + 1, "{told} for {exact}");
            }
        }
    }
}
