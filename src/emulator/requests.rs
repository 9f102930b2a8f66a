//! The log of all requests, for tests and curious people.
//!
//! Owns what is remembered of a request: never a body, never a header. Bounded: the
//! oldest are forgotten first.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::fault::ServiceName;

/// How many requests are remembered.
const CAPACITY: usize = 100_000;

/// How much of a path and its query is remembered: the signed URLs of operations are long.
const LONGEST: usize = 400;

/// A request as it came and how it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct SeenRequest {
    /// Counts all requests from 1.
    pub number: u64,
    /// When it came, by the machine's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub time: time::OffsetDateTime,
    /// The listener it came to.
    pub service: ServiceName,
    /// The slot it is about.
    pub slot: Option<String>,
    /// Its method.
    pub method: String,
    /// Its path and query, as they came, perhaps cut.
    pub path: String,
    /// The status of the answer; null while there is none, and when there never was one.
    pub status: Option<u16>,
    /// The misbehaviour applied to it.
    pub fault: Option<&'static str>,
}

/// The log.
#[derive(Default)]
pub struct RequestLog {
    seen: Mutex<(u64, VecDeque<SeenRequest>)>,
}

impl RequestLog {
    /// Puts a request down and gives its number.
    pub fn begin(&self, service: ServiceName, slot: Option<&str>, method: &str, path: &str) -> u64 {
        let mut seen = self.lock();
        seen.0 += 1;
        let number = seen.0;
        if seen.1.len() == CAPACITY {
            seen.1.pop_front();
        }
        seen.1.push_back(SeenRequest {
            number,
            time: time::OffsetDateTime::now_utc(),
            service,
            slot: slot.map(str::to_owned),
            method: method.to_owned(),
            path: path.chars().take(LONGEST).collect(),
            status: None,
            fault: None,
        });
        number
    }

    /// Notes how a request was answered.
    pub fn end(&self, number: u64, status: Option<u16>, fault: Option<&'static str>) {
        let mut seen = self.lock();
        let first = seen.1.front().map_or(0, |request| request.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| seen.1.get_mut(index)) {
            (request.status, request.fault) = (status, fault);
        }
    }

    /// All that is remembered, oldest first.
    pub fn all(&self) -> Vec<SeenRequest> {
        self.lock().1.iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, VecDeque<SeenRequest>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_in_order_and_the_oldest_are_forgotten() {
        let log = RequestLog::default();
        for number in 1..=(CAPACITY as u64 + 5) {
            assert_eq!(log.begin(ServiceName::App, Some("production"), "GET", "/"), number);
        }
        log.end(2, Some(500), None);
        log.end(10, Some(204), Some("delay"));
        let all = log.all();
        assert_eq!((all.len(), all[0].number), (CAPACITY, 6));
        assert_eq!((all[4].status, all[4].fault), (Some(204), Some("delay")));
        assert!(all.iter().filter(|request| request.status.is_some()).count() == 1);
    }
}
