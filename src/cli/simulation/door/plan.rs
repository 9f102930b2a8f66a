//! What is planned for the requests of a client, and what is kept of each.
//!
//! Owns which request a trouble or an end meets. Must not carry any.

use std::time::Duration;

use super::super::others::Deed;
use crate::emulator::fault::Kind;

/// How far a run has come, as its own requests tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::cli::simulation) enum Stage {
    /// Nothing has been changed.
    Reading,
    /// The package has been sent, or the configuration.
    Deploying,
    /// The note beside the deployment has been written.
    Staged,
    /// The swap has been sent.
    Swapped,
    /// The swap back has been sent.
    SwappedBack,
}

/// A request that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::simulation) struct Seen {
    /// Which of the client's, from 0.
    pub(in crate::cli::simulation) number: usize,
    /// How far the run had come.
    pub(in crate::cli::simulation) stage: Stage,
    /// Whom it asked for what, without what differs from run to run.
    pub(in crate::cli::simulation) kind: String,
    /// When, since the client came to be.
    pub(in crate::cli::simulation) after: Duration,
    /// Whether it was treated badly.
    pub(in crate::cli::simulation) troubled: bool,
    /// The status of the answer, if one left the service.
    pub(in crate::cli::simulation) status: Option<u16>,
    /// The id that the client gave it, for one that swaps.
    pub(in crate::cli::simulation) swap_id: Option<String>,
}

/// What may become of a request.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli::simulation) enum Trouble {
    /// Nobody listens.
    Refused,
    /// The name has no address.
    NoName,
    /// Any of the emulator's misbehaviours.
    Kind(Kind),
    /// 429 with the date that the client's clock shows so much later.
    UntilDate(Duration),
    /// The answer is for a token that the service does not take any more.
    TokensEnd,
    /// The service does its work, and the answer says that it is under way, to be asked for at the
    /// same place.
    StillRunning,
    /// Somebody else does this just before the request arrives, which is answered well.
    Deed(Deed),
}

/// Which requests a trouble meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::simulation) enum Target {
    /// The one of this number.
    Number(usize),
    /// All of a kind from this number on, so many of them.
    Kind {
        /// As in [`Seen`].
        kind: String,
        /// From which number on.
        from: usize,
        /// How many at most.
        times: usize,
    },
    /// The first that follow one of this kind, so many of them.
    After {
        /// As in [`Seen`].
        kind: String,
        /// How many at most.
        times: usize,
    },
    /// All that go to a service whose name begins so, from this number on, so many of them.
    Service {
        /// The beginning of the kind.
        beginning: String,
        /// From which number on.
        from: usize,
        /// How many at most.
        times: usize,
    },
}

/// When a client dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::simulation) enum Boundary {
    /// Before the request has left.
    BeforeSent,
    /// After the service has done its work, before the answer is there.
    CarriedOut,
    /// After the answer has been taken in, before anything else is sent.
    Answered,
}

/// What comes at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::simulation) enum End {
    /// kill -9.
    Death,
    /// SIGINT or SIGTERM.
    Signal,
}

/// Which request an end is planned for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::simulation) enum Point {
    /// The one of this number.
    Number(usize),
    /// The one that so many of its kind came before in its stage: parallel requests may come in
    /// another order from run to run.
    Nth {
        /// As in [`Seen`].
        stage: Stage,
        /// As in [`Seen`].
        kind: String,
        /// How many come before it.
        nth: usize,
    },
    /// The same, in whatever stage.
    Kind {
        /// As in [`Seen`].
        kind: String,
        /// How many come before it.
        nth: usize,
    },
}

/// The trouble that meets a request, of several the first.
pub(super) fn strike(
    troubles: &mut [(Target, Trouble)],
    number: usize,
    kind: &str,
    before: &str,
) -> Option<Trouble> {
    for (target, trouble) in troubles {
        let strikes = match target {
            Target::Number(at) => *at == number,
            Target::Kind { kind: wanted, from, times } => {
                let strikes = wanted == kind && number >= *from && *times > 0;
                *times -= usize::from(strikes);
                strikes
            }
            Target::After { kind: wanted, times } => {
                let strikes = wanted == before && *times > 0;
                *times -= usize::from(strikes);
                strikes
            }
            Target::Service { beginning, from, times } => {
                let strikes = kind.starts_with(beginning.as_str()) && number >= *from && *times > 0;
                *times -= usize::from(strikes);
                strikes
            }
        };
        if strikes {
            return Some(trouble.clone());
        }
    }
    None
}
