//! What stands between a simulated run and the services: a network that can be told to
//! fail at any request, and a death that can be told to come at any.
//!
//! Owns the log of requests, the delays and the troubles of one client. Must not judge
//! what comes of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::chance::Chance;
use super::others;
use crate::emulator::fault::Kind;
use crate::emulator::inside::{Inside, Silence};
use crate::http::simulated::{NoAnswer, Simulated};

mod carriage;
mod plan;

use carriage::{http_request, kind_of, response};
use plan::strike;
pub(super) use plan::{Boundary, End, Point, Seen, Stage, Target, Trouble};

/// More than a run sends of one kind.
pub(super) const FOR_EVER: usize = 100_000;
/// How long a request or an answer travels.
const FASTEST: Duration = Duration::from_millis(2);
const SLOWEST: Duration = Duration::from_millis(40);

/// The one request that changes production.
pub(super) const SWAP: &str = "arm POST staging slotsswap";

/// How the kind of a request to a host begins that is none of the service's.
pub(super) const ELSEWHERE: &str = "elsewhere";

struct State {
    chance: Chance,
    began: Instant,
    log: Vec<Seen>,
    stage: Stage,
    troubles: Vec<(Target, Trouble)>,
    /// Whether a swap has been sent that may be under way or done.
    swap_out: bool,
    end: Option<(Point, Boundary, End)>,
    /// The request at which the planned end came.
    ended_at: Option<usize>,
    signalled: Option<Instant>,
}

/// The door of one client.
pub(super) struct Door {
    inside: Arc<Inside>,
    state: Mutex<State>,
    dead: CancellationToken,
    cancel: Mutex<Option<watch::Sender<bool>>>,
}

impl Door {
    pub(super) fn new(inside: Arc<Inside>, chance: Chance) -> Arc<Self> {
        let state = State {
            chance,
            began: Instant::now(),
            log: Vec::new(),
            stage: Stage::Reading,
            troubles: Vec::new(),
            swap_out: false,
            end: None,
            ended_at: None,
            signalled: None,
        };
        let (state, cancel) = (Mutex::new(state), Mutex::default());
        Arc::new(Self { inside, state, dead: CancellationToken::new(), cancel })
    }

    /// The wire that leads through it.
    pub(super) fn wire(self: &Arc<Self>) -> Simulated {
        let (door, dice) = (Arc::clone(self), Arc::clone(self));
        Simulated::new(
            Arc::new(move |request| {
                let door = Arc::clone(&door);
                Box::pin(async move { door.carry(request).await })
            }),
            Arc::new(move || dice.lock().chance.share()),
        )
    }

    /// Plans a trouble; of several that fit a request the first counts.
    pub(super) fn plan(&self, target: Target, trouble: Trouble) {
        self.lock().troubles.push((target, trouble));
    }

    /// Plans an end at a boundary of a request.
    pub(super) fn plan_end(&self, point: Point, boundary: Boundary, end: End, cancel: &watch::Sender<bool>) {
        self.lock().end = Some((point, boundary, end));
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel.clone());
    }

    /// Cancelled when the client is killed.
    pub(super) fn death(&self) -> CancellationToken {
        self.dead.clone()
    }

    /// When the signal came.
    pub(super) fn signalled(&self) -> Option<Instant> {
        self.lock().signalled
    }

    /// The request at which the planned end came, if it came.
    pub(super) fn ended_at(&self) -> Option<usize> {
        self.lock().ended_at
    }

    /// Every request so far.
    pub(super) fn log(&self) -> Vec<Seen> {
        self.lock().log.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, request: Request) -> Result<Response, NoAnswer> {
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        let deadline = request.timeout().map(|limit| Instant::now() + *limit);
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let place = self.inside.place(&host, request.url().path());
        let kind = match &place {
            Some((service, path)) => kind_of(service, path, &request),
            None => format!("{ELSEWHERE} {} {host}", request.method()),
        };
        let id = request.headers().get("x-ms-client-request-id").and_then(|id| id.to_str().ok());
        let (number, trouble) = self.note(kind, id.map(str::to_owned));
        self.reach(number, Boundary::BeforeSent).await;
        self.travel(number, "there").await;
        let Some((service, path)) = place else { return Err(NoAnswer::NoName) };
        let kind = match &trouble {
            Some(Trouble::Refused) => return Err(NoAnswer::Refused),
            Some(Trouble::NoName) => return Err(NoAnswer::NoName),
            Some(Trouble::Kind(kind)) => Some(kind.clone()),
            Some(Trouble::UntilDate(after)) => Some(until_date(*after)),
            Some(Trouble::TokensEnd) => {
                self.inside.cloud().directory.expire_all();
                None
            }
            Some(Trouble::Deed(deed)) => {
                others::act(&self.inside, deed);
                None
            }
            Some(Trouble::StillRunning) | None => None,
        };
        let url = request.url().to_string();
        let request = http_request(request)?;
        let mut answer = self.inside.answer((service, path), request, kind.as_ref()).await;
        self.note_answer(number, answer.as_ref().ok());
        if trouble == Some(Trouble::StillRunning) {
            answer = answer.map(|answer| carriage::still_running(&answer, &url));
        }
        self.reach(number, Boundary::CarriedOut).await;
        self.travel(number, "back").await;
        let answer = answer.map_err(|silence| match silence {
            Silence::NoSuchHost => NoAnswer::NoName,
            Silence::Reset => NoAnswer::Broken("connection reset by peer".to_owned()),
            Silence::Garbage => NoAnswer::Broken("invalid HTTP version parsed".to_owned()),
        });
        self.reach_answered(number);
        Ok(response(answer?, deadline))
    }

    fn note(&self, kind: String, id: Option<String>) -> (usize, Option<Trouble>) {
        let mut state = self.lock();
        let number = state.log.len();
        let stage = state.stage;
        let before = state.log.last().map(|seen| seen.kind.clone()).unwrap_or_default();
        let trouble = strike(&mut state.troubles, number, &kind, &before);
        let never_leaves = matches!(trouble, Some(Trouble::Refused | Trouble::NoName));
        state.stage = match kind.as_str() {
            _ if never_leaves => stage,
            "scm staging POST publish" | "arm PATCH staging config/web" => Stage::Deploying,
            "scm staging PUT note" => Stage::Staged,
            SWAP if state.swap_out => Stage::SwappedBack,
            SWAP => Stage::Swapped,
            _ => stage,
        };
        state.swap_out |= kind == SWAP && !never_leaves;
        let troubled = trouble.is_some();
        let swap_id = id.filter(|_| kind == SWAP);
        let after = state.began.elapsed();
        state.log.push(Seen { number, stage, kind, after, troubled, status: None, swap_id });
        (number, trouble)
    }

    fn note_answer(&self, number: usize, answer: Option<&hyper::Response<crate::emulator::front::Body>>) {
        let mut state = self.lock();
        if let (Some(seen), Some(answer)) = (state.log.get_mut(number), answer) {
            seen.status = Some(answer.status().as_u16());
            let refused = (400..500).contains(&answer.status().as_u16());
            // What was refused is asked for again, which is no swap back.
            if seen.kind == SWAP {
                state.swap_out &= !refused;
            }
        }
    }

    /// Waits a little, as on the way through a network. How long depends on the request alone, not
    /// on the order in which parallel ones came to be polled.
    async fn travel(&self, number: usize, way: &str) {
        let pause = {
            let state = self.lock();
            let kind = &state.log[number].kind;
            let nth = state.log[..number].iter().filter(|seen| seen.kind == *kind).count();
            state.chance.of(&format!("{kind} {nth} {way}")).between(FASTEST, SLOWEST)
        };
        tokio::time::sleep(pause).await;
    }

    /// Ends the client here if that was planned. A killed one never comes back from here.
    async fn reach(&self, number: usize, boundary: Boundary) {
        match self.due(number, boundary) {
            Some(End::Death) => {
                self.dead.cancel();
                std::future::pending().await
            }
            Some(End::Signal) => self.signal(),
            None => {}
        }
    }

    /// The answer is taken in by the same poll that follows; nothing more is sent.
    fn reach_answered(&self, number: usize) {
        match self.due(number, Boundary::Answered) {
            Some(End::Death) => self.dead.cancel(),
            Some(End::Signal) => self.signal(),
            None => {}
        }
    }

    /// The end that is planned here; it comes once.
    fn due(&self, number: usize, boundary: Boundary) -> Option<End> {
        let mut state = self.lock();
        let (point, which, end) = state.end.as_ref()?;
        let is_due = *which == boundary && point.is(number, &state.log) && state.ended_at.is_none();
        let end = is_due.then_some(*end)?;
        state.ended_at = Some(number);
        Some(end)
    }

    fn signal(&self) {
        self.lock().signalled = Some(Instant::now());
        if let Some(cancel) = self.cancel.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            cancel.send_replace(true);
        }
    }
}

impl Point {
    fn is(&self, number: usize, log: &[Seen]) -> bool {
        match self {
            Self::Number(at) => *at == number,
            Self::Nth { stage, kind, nth } => {
                let alike = |seen: &&Seen| seen.stage == *stage && seen.kind == *kind;
                alike(&&log[number]) && log[..number].iter().filter(alike).count() == *nth
            }
            Self::Kind { kind, nth } => {
                let alike = |seen: &&Seen| seen.kind == *kind;
                alike(&&log[number]) && log[..number].iter().filter(alike).count() == *nth
            }
        }
    }
}

fn until_date(after: Duration) -> Kind {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = (crate::clock::now() + after).format(&format).unwrap_or_default();
    let headers = [("retry-after".to_owned(), date)].into();
    Kind::Status { code: 429, headers, body: serde_json::Value::Null, act: false }
}
